//! Tables of a document whose last column names the tests that hold each row.

/// Each row names a test at least, and each test it names is in one of these files.
#[track_caller]
pub(crate) fn assert_each_row_names_a_test(rows: &[&str], tests: &[&str]) {
    for row in rows {
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let mut named = last.split('`').skip(1).step_by(2).peekable();
        assert!(named.peek().is_some(), "no test is named in: {row}");
        for name in named {
            let head = format!("fn {name}(");
            assert!(tests.iter().any(|file| file.contains(&head)), "there is no test {name}");
        }
    }
}
