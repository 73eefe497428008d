//! What the parser says about text that it refuses: place, message, hint.

use geode_gql::{Dialect, parse};

#[test]
fn a_syntax_error_says_what_was_found_where_and_what_was_expected() {
    let cases = [
        ("", "1:1", "found the end of the statement, expected BEGIN", None),
        (
            "MATCH n",
            "1:7",
            "found n, expected a node pattern such as (n)",
            None,
        ),
        (
            "MATCH (n",
            "1:9",
            "found the end of the statement, expected ':', '{', ')' or WHERE",
            None,
        ),
        (
            "MATCH (n)-[e->(m)",
            "1:13",
            "found -, expected ':', '{', ']' or WHERE",
            None,
        ),
        (
            "MATCH (n) RETURN n ODER BY n",
            "1:20",
            "found ODER",
            Some("did you mean ORDER?"),
        ),
        (
            "RETURN [1, 2",
            "1:13",
            "found the end of the statement, expected ',' or ']'",
            None,
        ),
        ("RETURN {a 1}", "1:11", "found 1, expected ':'", None),
        (
            "RETURN 1 +",
            "1:11",
            "found the end of the statement, expected an expression",
            None,
        ),
        (
            "RETURN CASE WHEN 1 THEN 2",
            "1:26",
            "found the end of the statement, expected WHEN, ELSE or END",
            None,
        ),
        (
            "RETURN 1 + NOT true",
            "1:12",
            "found NOT, expected an expression",
            Some("NOT binds looser"),
        ),
        (
            "RETURN x IS NOTHING",
            "1:13",
            "found NOTHING, expected NOT, NULL, TRUE, FALSE, UNKNOWN, TYPED or LABELED",
            None,
        ),
        (
            "FOR x OF [1] RETURN x",
            "1:7",
            "found OF, expected IN",
            Some("did you mean IN?"),
        ),
        ("UNWIND [1] x RETURN x", "1:12", "found x, expected AS", None),
        (
            "RETURN 1 AS match",
            "1:13",
            "found match, expected a column's name",
            Some("`match`"),
        ),
        (
            "MATCH (a)-[:T*2..x]->(b) RETURN a",
            "1:18",
            "found x, expected '{', ']' or WHERE",
            None,
        ),
        ("RETURN $", "1:8", "a parameter needs a name after $", None),
        ("RETURN /* x", "1:8", "this comment is never closed", None),
        ("RETURN 'x\n", "1:8", "this string is never closed", None),
        ("RETURN 1e", "1:8", "1e is not a number", None),
        ("RETURN 1__0", "1:8", "1__0 is not a number", None),
        ("RETURN 0b12", "1:8", "0b12 is not a number", None),
        ("RETURN '\\u12'", "1:9", "\\u needs 4 hexadecimal digits", None),
        ("RETURN X'0'", "1:8", "a byte string needs pairs", None),
        ("RETURN ``", "1:8", "a name must not be empty", None),
        (
            "MATCH (n)\n  RETURN n.\n",
            "3:1",
            "expected a property name",
            None,
        ),
        ("SET n", "1:6", "found the end of the statement, expected", None),
        (
            "MATCH (n) SET n:A|B",
            "1:16",
            "labels are set and removed by name",
            None,
        ),
        (
            "SELECT 1 AS x FROM",
            "1:19",
            "expected the name of a graph, '{', HOME_GRAPH",
            None,
        ),
        ("START TRANSACTION READ", "1:23", "expected ONLY or WRITE", None),
        ("COMMIT now", "1:8", "found now", None),
        ("RETURN 1 a", "1:10", "found a", None),
        ("RETURN ⚡", "1:8", "has no meaning here", None),
    ];
    for (text, place, message, hint) in cases {
        let error = parse(text, Dialect::Gql).expect_err(text);
        let at = error.position.expect("every error of the text has a place");
        assert_eq!(format!("{}:{}", at.line, at.column), place, "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
        assert!(
            error.gqlstatus.starts_with("42") || error.gqlstatus == "22003",
            "{text}: {error}"
        );
        if let Some(hint) = hint {
            assert!(
                error.hint.as_deref().unwrap_or_default().contains(hint),
                "{text}: {error}"
            );
        }
    }
}

#[test]
fn what_is_not_offered_is_refused_by_name() {
    let cases = [
        (
            "MATCH (a) ((b)-[:T]->(c)) RETURN a",
            "a node beside a path in parentheses",
        ),
        ("CREATE GRAPH g SHARD BY HASH(User.id) SHARDS 16", "SHARD BY"),
        ("DROP POLICY p", "DROP"),
        ("SESSION SET TABLE $t = x", "SESSION SET TABLE"),
    ];
    for (text, what) in cases {
        let error = parse(text, Dialect::Gql).expect_err(text);
        assert_eq!(error.gqlstatus, geode_gql::NOT_SUPPORTED, "{text}: {error}");
        assert!(
            error.message.contains(what) && error.position.is_some() && error.hint.is_some(),
            "{text}: {error}"
        );
    }
}
