//! As much of PromQL as it takes to say which series a query is about.

/// What a query selects, and by which labels it groups or joins.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Query {
    pub(crate) selectors: Vec<Selector>,
    pub(crate) labels: Vec<String>,
}

/// `name{label="value", ..}`
#[derive(Debug, PartialEq)]
pub(crate) struct Selector {
    pub(crate) name: String,
    /// Label and value, or values with `|` between them, whatever the operator.
    pub(crate) matchers: Vec<(String, String)>,
}

/// Words before which and after which a list of labels may stand.
const GROUPS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const NO_SERIES: [&str; 8] = ["and", "or", "unless", "bool", "offset", "group_left", "group_right", "atan2"];

impl Query {
    /// Reads a query that Prometheus takes; what it would refuse may pass.
    pub(crate) fn read(text: &str) -> Self {
        let mut query = Self::default();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            if is_word(first) {
                let (word, after) = word(rest);
                let after = after.trim_start();
                rest = if GROUPS.contains(&word) && after.starts_with('(') {
                    let (list, after) = after[1..].split_once(')').unwrap();
                    query.labels.extend(list.split(',').map(|label| label.trim().to_owned()));
                    after
                } else if after.starts_with('(')
                    || NO_SERIES.contains(&word)
                    || GROUPS.contains(&self::word(after).0)
                {
                    // A function, or an aggregation that says first by what.
                    after
                } else {
                    let (matchers, after) = matchers(after);
                    query.selectors.push(Selector { name: word.to_owned(), matchers });
                    after
                };
            } else if first.is_ascii_digit() {
                rest = rest.trim_start_matches(|it: char| it.is_ascii_alphanumeric() || it == '.');
            } else if first == '[' {
                rest = rest.split_once(']').unwrap().1;
            } else if matches!(first, '"' | '\'') {
                rest = rest[1..].split_once(first).unwrap().1;
            } else {
                rest = &rest[first.len_utf8()..];
            }
            rest = rest.trim_start();
        }
        query
    }
}

fn is_word(first: char) -> bool {
    first.is_ascii_alphabetic() || matches!(first, '_' | ':')
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|it: char| !is_word(it) && !it.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// The matchers in braces, if any, and what follows.
fn matchers(text: &str) -> (Vec<(String, String)>, &str) {
    let Some(mut rest) = text.strip_prefix('{') else { return (Vec::new(), text) };
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',', '\n']);
        if let Some(after) = rest.strip_prefix('}') {
            return (found, after);
        }
        let (label, after) = word(rest);
        let (_operator, after) = after.split_once('"').unwrap();
        let (value, after) = after.split_once('"').unwrap();
        found.push((label.to_owned(), value.to_owned()));
        rest = after;
    }
}

#[test]
fn selectors_are_found_and_functions_and_labels_are_not() {
    let query = Query::read(
        r#"sum by (job, le) (rate(a_total{code=~"4xx|5xx", route!="x"}[5m])) / on (job) 1.5e9 * b{ } > 0.9
           unless label_replace(c_total offset 5m, "to", "$1", "from", "(.*)") and -0.5 < bool d"#,
    );
    let names: Vec<_> = query.selectors.iter().map(|selector| selector.name.as_str()).collect();
    assert_eq!(names, ["a_total", "b", "c_total", "d"]);
    let pair = |label: &str, value: &str| (label.to_owned(), value.to_owned());
    assert_eq!(query.selectors[0].matchers, [pair("code", "4xx|5xx"), pair("route", "x")]);
    assert_eq!(query.labels, ["job", "le", "job"]);
}
