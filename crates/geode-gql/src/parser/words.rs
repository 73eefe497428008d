//! Reserved words: those that cannot be a variable without backticks. Fewer than ISO 39075 reserves, so that statements written for
//! other engines keep working; labels, types and property keys may be any word.

const RESERVED: &[&str] = &[
    "AND", "AS", "CALL", "CASE", "CREATE", "DELETE", "DETACH", "DISTINCT", "ELSE", "FALSE", "IN", "INSERT",
    "IS", "LIMIT", "MATCH", "MERGE", "NOT", "NULL", "OPTIONAL", "OR", "ORDER", "REMOVE", "RETURN", "SELECT",
    "SET", "SKIP", "THEN", "TRUE", "UNION", "UNKNOWN", "UNWIND", "WHEN", "WHERE", "WITH", "XOR",
];

pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(word))
}
