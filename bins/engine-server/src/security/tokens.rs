//! Bearer tokens and what each lets its holder do.
//!
//! Of a token only its SHA-256 is kept. A presented one is hashed too, and the hash compared with every one there
//! is, in a time that depends on none of them: neither how much of a token is right nor where it stands can be
//! measured.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use models::ScheduleId;
use ring::digest::{SHA256, digest};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq};

use super::read;
use super::watch::Files;

/// Most tokens in force.
const MAX_TOKENS: usize = 1_024;
/// Fewest and most characters of a token: what is shorter can be guessed.
const MIN_TOKEN: usize = 16;
pub(crate) const MAX_TOKEN: usize = 256;

/// What a token lets its holder do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// Look at everything.
    Read,
    /// Look at everything and change it.
    Write,
    /// Look at everything and change the schedules of these namespaces.
    WriteIn(Vec<Box<str>>),
}

/// The tokens in force, and the file that they stand in.
pub(crate) struct Tokens {
    file: PathBuf,
    table: ArcSwap<Table>,
}

/// The tokens of a file, in order.
#[derive(Default)]
struct Table {
    hashes: Vec<Hash>,
    roles: Vec<Arc<Role>>,
}

/// A SHA-256, in words: byte by byte a comparison takes ten times as long.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hash([u64; 4]);

impl Tokens {
    /// The tokens of a file.
    ///
    /// # Errors
    ///
    /// Names the line and what was expected there, and nothing of what stands there.
    pub(crate) fn load(file: PathBuf) -> Result<Self, String> {
        let table = ArcSwap::from_pointee(Table::of(&file)?);
        Ok(Self { file, table })
    }

    /// What `presented` lets its holder do; nothing if it is none of the tokens.
    pub(crate) fn role(&self, presented: &[u8]) -> Option<Arc<Role>> {
        let table = self.table.load();
        let index = find(&Hash::of(presented), table.hashes.iter())?;
        table.roles.get(index).map(Arc::clone)
    }

    /// How many there are.
    pub(super) fn summary(&self) -> String {
        let table = self.table.load();
        let count = |is: fn(&Role) -> bool| table.roles.iter().filter(|role| is(role)).count();
        let read = count(|role| *role == Role::Read);
        let write = count(|role| *role == Role::Write);
        let limited = count(|role| matches!(role, Role::WriteIn(_)));
        format!("{read} to read, {write} to write, {limited} to write in some namespaces")
    }
}

impl Files for Tokens {
    fn what(&self) -> &'static str {
        "tokens"
    }

    fn paths(&self) -> Vec<&Path> {
        vec![&self.file]
    }

    fn read_again(&self) -> Result<(), String> {
        self.table.store(Arc::new(Table::of(&self.file)?));
        Ok(())
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Table {
    fn of(file: &Path) -> Result<Self, String> {
        Self::parse(&read(file)?)
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text =
            std::str::from_utf8(bytes).map_err(|_| "the file is not text: expected UTF-8".to_owned())?;
        let mut table = Self::default();
        let mut lines = BTreeMap::new();
        let numbered = text.lines().zip(1_usize..).map(|(line, number)| (line.trim(), number));
        for (line, number) in numbered.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')) {
            let (role, hash) = entry(line).map_err(|expected| format!("line {number}: {expected}"))?;
            if let Some(other) = lines.insert(hash, number) {
                return Err(format!(
                    "line {number}: the token of line {other} again: expected each to stand once"
                ));
            }
            if table.hashes.len() == MAX_TOKENS {
                return Err(format!("line {number}: expected at most {MAX_TOKENS} tokens"));
            }
            table.hashes.push(hash);
            table.roles.push(Arc::new(role));
        }
        if table.hashes.is_empty() {
            return Err("the file has no token: expected a line `ROLE TOKEN`".to_owned());
        }
        Ok(table)
    }
}

/// A line that holds something. What is wrong is told without any of it: it may be a token, wherever it stands.
fn entry(line: &str) -> Result<(Role, Hash), String> {
    let mut words = line.split_whitespace();
    let (Some(word), Some(token), None) = (words.next(), words.next(), words.next()) else {
        return Err("expected `ROLE TOKEN`, two words and nothing else".to_owned());
    };
    let role = role(word)?;
    if let Some(hex) = token.strip_prefix("sha256:") {
        let hash = Hash::parse(hex);
        return hash
            .map(|hash| (role, hash))
            .ok_or_else(|| "expected 64 hexadecimal digits after `sha256:`".to_owned());
    }
    let is_token =
        (MIN_TOKEN..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token {
        return Err(format!(
            "expected a token of {MIN_TOKEN} to {MAX_TOKEN} visible ASCII characters after the role, or `sha256:` and its hash"
        ));
    }
    Ok((role, Hash::of(token.as_bytes())))
}

fn role(word: &str) -> Result<Role, String> {
    match (word, word.strip_prefix("write:")) {
        ("read", _) => Ok(Role::Read),
        ("write", _) => Ok(Role::Write),
        (_, Some(namespaces)) => {
            let is_namespace = |name: &str| ScheduleId::new(name, "default").is_ok();
            if !namespaces.split(',').all(is_namespace) {
                return Err("expected namespaces after `write:`, with commas between: each a DNS label (1 to 63 of a-z, 0-9 and -)".to_owned());
            }
            Ok(Role::WriteIn(namespaces.split(',').map(Box::from).collect()))
        }
        _ => Err("expected a role first: read, write or write:namespace[,namespace..]".to_owned()),
    }
}

impl Hash {
    /// That of a token.
    fn of(token: &[u8]) -> Self {
        let (mut words, digest) = ([0; 4], digest(&SHA256, token));
        for (word, bytes) in words.iter_mut().zip(digest.as_ref().chunks(8)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        Self(words)
    }

    /// 64 hexadecimal digits.
    fn parse(hex: &str) -> Option<Self> {
        if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut words = [0; 4];
        for (word, digits) in words.iter_mut().zip(hex.as_bytes().chunks(16)) {
            *word = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(words))
    }
}

impl ConstantTimeEq for Hash {
    fn ct_eq(&self, other: &Self) -> Choice {
        let pairs = self.0.iter().zip(&other.0);
        pairs.fold(0, |differing, (one, other)| differing | (one ^ other)).ct_eq(&0)
    }
}

/// Which of `hashes` is `presented`. Each is compared as a whole, whichever is the one.
fn find<'a, T: ConstantTimeEq + 'a>(presented: &T, hashes: impl Iterator<Item = &'a T>) -> Option<usize> {
    let (mut found, mut at) = (Choice::from(0), 0_u32);
    for (hash, index) in hashes.zip(0_u32..) {
        let same = hash.ct_eq(presented);
        at.conditional_assign(&index, same);
        found |= same;
    }
    bool::from(found).then(|| usize::try_from(at).ok()).flatten()
}

/// Any bytes as a file of tokens: where they are one, each line's token is let in, as one of those there are.
#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(bytes: &[u8]) {
    let Ok(table) = Table::parse(bytes) else { return };
    let lines = String::from_utf8_lossy(bytes);
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let given: Vec<&str> = lines.filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert!(given.len() == table.hashes.len() && given.len() == table.roles.len());
    for (token, index) in given.into_iter().zip(0..).filter(|(token, _)| !token.starts_with("sha256:")) {
        assert_eq!(find(&Hash::of(token.as_bytes()), table.hashes.iter()), Some(index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    use proptest::prelude::*;

    const A: &str = "aaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbb";
    /// Of `A`.
    const HASH: &str = "0c0beacef8877bbf2416eb00f2b5dc96354e26dd1df5517320459b1236860f8c";

    fn parsed(text: &str) -> Tokens {
        let table = ArcSwap::from_pointee(Table::parse(text.as_bytes()).unwrap());
        Tokens { file: PathBuf::new(), table }
    }

    fn role_of(tokens: &Tokens, token: &str) -> Option<Role> {
        tokens.role(token.as_bytes()).map(|role| (*role).clone())
    }

    #[test]
    fn a_token_has_the_role_of_its_line() {
        let text = format!(
            "# who may what\n\n read {A}\r\n\twrite   {B}  \nwrite:shop,a-1 cccccccccccccccc#,;:\"\n"
        );
        let tokens = parsed(&text);
        assert_eq!(role_of(&tokens, A), Some(Role::Read));
        assert_eq!(role_of(&tokens, B), Some(Role::Write));
        let limited = Role::WriteIn(vec!["shop".into(), "a-1".into()]);
        assert_eq!(role_of(&tokens, "cccccccccccccccc#,;:\""), Some(limited));
        for wrong in ["", "a", "aaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaa", "AAAAAAAAAAAAAAAA", "read", &text] {
            assert_eq!(role_of(&tokens, wrong), None, "{wrong}");
        }
        assert_eq!(tokens.summary(), "1 to read, 1 to write, 1 to write in some namespaces");
    }

    #[test]
    fn a_file_of_hashes_holds_no_secret() {
        for hash in [HASH.to_owned(), HASH.to_ascii_uppercase()] {
            let tokens = parsed(&format!("write sha256:{hash}"));
            assert_eq!(role_of(&tokens, A), Some(Role::Write));
            for wrong in [hash.clone(), format!("sha256:{hash}"), B.to_owned()] {
                assert_eq!(role_of(&tokens, &wrong), None, "{wrong}");
            }
            assert!(!format!("{tokens:?}").contains(&HASH[..8]), "{tokens:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line_and_never_shown() {
        let long = "x".repeat(MAX_TOKEN + 1);
        let many: Vec<String> = (0..=MAX_TOKENS).map(|number| format!("read {number:016}")).collect();
        let cases = [
            String::new(),
            "# nothing\n\n".to_owned(),
            format!("read {A}\nread"),
            A.to_owned(),
            format!("read {A} {B}"),
            format!("{A} read"),
            format!("READ {A}"),
            format!("write: {A}"),
            format!("write:shop, {A}"),
            format!("write:shop,{A}_ {B}"),
            format!("read:shop {A}"),
            "read 123456789012345".to_owned(),
            format!("read {long}"),
            "read ééééééééééééééééé".to_owned(),
            "read sha256:1234".to_owned(),
            format!("read sha256:{}", HASH.replace('0', "g")),
            format!("read sha256:+{}", &HASH[1..]),
            format!("read {A}\n\nwrite {A}"),
            format!("read {A}\nwrite sha256:{HASH}"),
            many.join("\n"),
        ];
        let told: String = cases
            .iter()
            .map(|text| {
                let told = Table::parse(text.as_bytes()).map(|_| ()).unwrap_err();
                for secret in [A, B, "1234", "xxxx", "éé", "0c0b", "gc"] {
                    assert!(!told.contains(secret), "{told}");
                }
                told + "\n"
            })
            .collect();
        insta::assert_snapshot!(told, @r"
        the file has no token: expected a line `ROLE TOKEN`
        the file has no token: expected a line `ROLE TOKEN`
        line 2: expected `ROLE TOKEN`, two words and nothing else
        line 1: expected `ROLE TOKEN`, two words and nothing else
        line 1: expected `ROLE TOKEN`, two words and nothing else
        line 1: expected a role first: read, write or write:namespace[,namespace..]
        line 1: expected a role first: read, write or write:namespace[,namespace..]
        line 1: expected namespaces after `write:`, with commas between: each a DNS label (1 to 63 of a-z, 0-9 and -)
        line 1: expected namespaces after `write:`, with commas between: each a DNS label (1 to 63 of a-z, 0-9 and -)
        line 1: expected namespaces after `write:`, with commas between: each a DNS label (1 to 63 of a-z, 0-9 and -)
        line 1: expected a role first: read, write or write:namespace[,namespace..]
        line 1: expected a token of 16 to 256 visible ASCII characters after the role, or `sha256:` and its hash
        line 1: expected a token of 16 to 256 visible ASCII characters after the role, or `sha256:` and its hash
        line 1: expected a token of 16 to 256 visible ASCII characters after the role, or `sha256:` and its hash
        line 1: expected 64 hexadecimal digits after `sha256:`
        line 1: expected 64 hexadecimal digits after `sha256:`
        line 1: expected 64 hexadecimal digits after `sha256:`
        line 3: the token of line 1 again: expected each to stand once
        line 2: the token of line 1 again: expected each to stand once
        line 1025: expected at most 1024 tokens
        ");
        assert_eq!(
            Table::parse(b"read \xff").map(|_| ()).unwrap_err(),
            "the file is not text: expected UTF-8"
        );
    }

    /// Something that counts how often it is compared.
    struct Counted<'a>(u8, &'a Cell<usize>);

    impl ConstantTimeEq for Counted<'_> {
        fn ct_eq(&self, other: &Self) -> Choice {
            self.1.set(self.1.get() + 1);
            self.0.ct_eq(&other.0)
        }
    }

    #[test]
    fn every_hash_is_compared_whichever_is_the_one() {
        let compared = Cell::new(0);
        let hashes: Vec<Counted<'_>> = (0..100).map(|hash| Counted(hash, &compared)).collect();
        for presented in [0, 1, 50, 99, 100] {
            compared.set(0);
            let found = find(&Counted(presented, &compared), hashes.iter());
            assert_eq!(found, Some(usize::from(presented)).filter(|index| *index < 100));
            assert_eq!(compared.get(), 100, "{presented}");
        }
    }

    #[test]
    fn a_hash_equals_itself_alone() {
        let hash = Hash::parse(HASH).unwrap();
        assert!(hash == Hash::of(A.as_bytes()) && bool::from(hash.ct_eq(&hash)));
        for word in 0..4 {
            for bit in 0..64 {
                let mut other = hash;
                other.0[word] ^= 1 << bit;
                assert!(!bool::from(hash.ct_eq(&other)) && !bool::from(other.ct_eq(&hash)), "{word} {bit}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Table::parse(&bytes);
        }

        #[test]
        fn no_line_panics_or_lets_a_secret_out(role in "(read|write|write:[a-z,-]{0,9}|[ -~]{0,9})", secret in "[!-~]{8,40}") {
            let parsed = Table::parse(format!("{role} {secret}").as_bytes());
            if let Err(told) = parsed.map(|_| ()) {
                prop_assert!(!told.contains(&secret), "{}", told);
            }
        }

        #[test]
        fn each_token_is_found_with_its_own_role(
            tokens in proptest::collection::btree_map("[!-~]{16,64}", 0..3_usize, 1..20),
            other in "[!-~]{1,64}",
        ) {
            let words = ["read", "write", "write:shop"];
            let roles = [Role::Read, Role::Write, Role::WriteIn(vec!["shop".into()])];
            prop_assume!(tokens.keys().all(|token| !token.starts_with("sha256:")));
            let lines = tokens.iter().map(|(token, role)| format!("{} {token}", words[*role]));
            let known = parsed(&lines.collect::<Vec<_>>().join("\n"));
            for (token, role) in &tokens {
                prop_assert_eq!(role_of(&known, token), Some(roles[*role].clone()));
            }
            let expected = tokens.get(&other).map(|role| roles[*role].clone());
            prop_assert_eq!(role_of(&known, &other), expected);
        }
    }
}
