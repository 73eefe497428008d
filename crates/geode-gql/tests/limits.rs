//! Hostile text: deep, long and random. Everything runs on a thread with a small stack.

use geode_gql::{Dialect, MAX_NESTING, MAX_TEXT_BYTES, Statement, parse, to_sexpr};
use geode_types::QueryError;
use proptest::prelude::*;

const STACK_BYTES: usize = 2 * 1024 * 1024;

fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(work)
        .expect("a thread");
    thread.join().expect("no overflow and no panic")
}

fn parse_small(text: String) -> Result<Statement, QueryError> {
    on_a_small_stack(move || parse(&text, Dialect::Gql))
}

#[test]
fn bottomless_nesting_is_refused_with_a_place() {
    const DEPTH: usize = 100_000;
    let cases = [
        format!("RETURN {}1{}", "(".repeat(DEPTH), ")".repeat(DEPTH)),
        format!("RETURN {}1{}", "[".repeat(DEPTH), "]".repeat(DEPTH)),
        format!("RETURN {}1{}", "{a:".repeat(DEPTH), "}".repeat(DEPTH)),
        format!("RETURN {}true", "NOT ".repeat(DEPTH)),
        format!("RETURN {}x", "-".repeat(DEPTH)),
        format!("RETURN {}1{}", "f(".repeat(DEPTH), ")".repeat(DEPTH)),
        format!("RETURN {}1{}", "x[".repeat(DEPTH), "]".repeat(DEPTH)),
        format!(
            "RETURN {}1{}",
            "CASE WHEN ".repeat(DEPTH / 2),
            " THEN 1 END".repeat(DEPTH / 4)
        ),
        format!("MATCH (n:{}A) RETURN n", "!".repeat(DEPTH)),
        format!("MATCH (n:{}A{}) RETURN n", "(".repeat(DEPTH), ")".repeat(DEPTH)),
    ];
    for text in cases {
        let head: String = text.chars().take(30).collect();
        let error = parse_small(text).expect_err(&head);
        assert_eq!(error.detail, "NestingTooDeep", "{head}: {error}");
        assert!(error.position.is_some(), "{head}");
    }
}

#[test]
fn nesting_up_to_the_limit_is_read() {
    let depth = MAX_NESTING - 1;
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("NOT ", ""),
        ("- ", ""),
        ("{a:", "}"),
        ("f(", ")"),
        ("x[", "]"),
    ] {
        let text = format!("RETURN {}x{}", open.repeat(depth), close.repeat(depth));
        let printed =
            on_a_small_stack(move || parse(&text, Dialect::Gql).map(|statement| to_sexpr(&statement)));
        assert!(printed.is_ok(), "{open}: {printed:?}");
    }
}

#[test]
fn long_chains_are_wide_and_not_deep() {
    const LENGTH: usize = 100_000;
    for link in [
        " AND true",
        " OR true",
        " + 1",
        " * 1",
        " = 1",
        ".a",
        "[0]",
        " || 'x'",
    ] {
        let text = format!("RETURN x{}", link.repeat(LENGTH));
        assert!(parse_small(text).is_ok(), "{link}");
    }
    let clauses = "MATCH (n) ".repeat(LENGTH);
    assert!(parse_small(format!("{clauses}RETURN n")).is_ok());
}

#[test]
fn text_beyond_the_limit_is_refused() {
    let error = parse(&" ".repeat(MAX_TEXT_BYTES + 1), Dialect::Gql).expect_err("too long");
    assert_eq!(error.detail, "StatementTooLong");
}

fn token() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "MATCH", "OPTIONAL", "WHERE", "RETURN", "WITH", "INSERT", "CREATE", "MERGE", "ON", "SET", "REMOVE",
        "DELETE", "DETACH", "FOR", "UNWIND", "IN", "AS", "ORDER", "BY", "LIMIT", "SKIP", "OFFSET", "UNION",
        "ALL", "DISTINCT", "NOT", "AND", "OR", "XOR", "IS", "NULL", "TRUE", "CASE", "WHEN", "THEN", "ELSE",
        "END", "SELECT", "FROM", "LET", "FILTER", "NEXT", "CAST", "BEGIN", "n", "m", "x", "count", "size",
        "system", "(", ")", "[", "]", "{", "}", "-", "->", "<-", "--", "~", ":", "|", "&", "!", "%", "*",
        "+", "?", ",", ".", "..", "=", "<>", "<", ">=", "+=", "||", "^", "/", "$p", "'s'", "\"t\"", "`q`",
        "1", "1.5", "0x", "1..3", "X'00'", ";", "'", "//", "/*", "\\", "é", "—",
    ]);
    prop_oneof![8 => words.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Whatever the words, the answer is a tree that can be printed and read again, or an error with a place inside the text.
    #[test]
    fn random_words_never_panic(tokens in prop::collection::vec(token(), 0..60), blanks in any::<bool>()) {
        let text = tokens.join(if blanks { " " } else { "" });
        match parse(&text, Dialect::Gql) {
            Ok(statement) => {
                let printed = statement.to_string();
                prop_assert_eq!(parse(&printed, Dialect::Gql), Ok(statement), "{}", printed);
            }
            Err(error) => {
                let at = error.position.expect("a place");
                let line = text.split('\n').nth(at.line as usize - 1).expect("a line of the text");
                prop_assert!(at.column as usize <= line.chars().count() + 1);
            }
        }
    }

    #[test]
    fn random_characters_never_panic(text in "\\PC{0,80}") {
        let _ = parse(&text, Dialect::Cypher);
    }
}
