//! Where one statement ends and the next begins: at `;` outside quotes and comments.

/// Statements that have ended, and what comes after the last of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Statements<'a> {
    pub(crate) complete: Vec<&'a str>,
    pub(crate) rest: &'a str,
}

/// Splits a text; statements that are only blanks and comments are left out.
pub(crate) fn complete_statements(text: &str) -> Statements<'_> {
    let mut complete = Vec::new();
    let mut start = 0;
    for end in semicolons(text) {
        let statement = &text[start..end];
        if !is_blank(statement) {
            complete.push(statement);
        }
        start = end + 1;
    }
    Statements {
        complete,
        rest: &text[start..],
    }
}

/// Whether there is nothing but white space and comments.
pub(crate) fn is_blank(text: &str) -> bool {
    scan(text).all(|(_, byte, inside)| inside == Inside::Comment || byte.is_ascii_whitespace())
}

fn semicolons(text: &str) -> impl Iterator<Item = usize> {
    scan(text)
        .filter(|(_, byte, inside)| *byte == b';' && *inside == Inside::Code)
        .map(|(at, _, _)| at)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    Quote(u8),
    Comment,
}

/// Every byte with its position and where it stands. Quotes and comments begin with ASCII, so bytes are enough.
fn scan(text: &str) -> impl Iterator<Item = (usize, u8, Inside)> {
    let bytes = text.as_bytes();
    let mut inside = Inside::Code;
    let mut line_comment = false;
    // The position up to which bytes belong to what came before (an escape, the second half of a mark).
    let mut taken = 0;
    bytes.iter().copied().enumerate().map(move |(at, byte)| {
        let next = bytes.get(at + 1).copied();
        if at < taken {
            return (at, byte, inside_of_mark(inside));
        }
        match inside {
            Inside::Code => match (byte, next) {
                (b'\'' | b'"' | b'`', _) => inside = Inside::Quote(byte),
                (b'/', Some(b'/' | b'*')) => {
                    line_comment = next == Some(b'/');
                    inside = Inside::Comment;
                    taken = at + 2;
                }
                _ => {}
            },
            Inside::Quote(quote) => match byte {
                b'\\' if quote != b'`' => taken = at + 2,
                _ if byte == quote => {
                    inside = Inside::Code;
                    return (at, byte, Inside::Quote(quote));
                }
                _ => {}
            },
            Inside::Comment => match (byte, next) {
                (b'\n', _) if line_comment => inside = Inside::Code,
                (b'*', Some(b'/')) if !line_comment => {
                    inside = Inside::Code;
                    taken = at + 2;
                    return (at, byte, Inside::Comment);
                }
                _ => {}
            },
        }
        (at, byte, inside)
    })
}

/// The second byte of `*/` belongs to the comment that it ends.
fn inside_of_mark(inside: Inside) -> Inside {
    match inside {
        Inside::Code => Inside::Comment,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_quotes_and_comments() {
        let cases: [(&str, &[&str], &str); 8] = [
            ("RETURN 1; RETURN 2", &["RETURN 1"], " RETURN 2"),
            ("RETURN ';'; x", &["RETURN ';'"], " x"),
            (r"RETURN 'it\';s'; x", &[r"RETURN 'it\';s'"], " x"),
            ("RETURN 'it'';s'; x", &["RETURN 'it'';s'"], " x"),
            ("MATCH (`a;b`); x", &["MATCH (`a;b`)"], " x"),
            ("RETURN 1 // no; \n; x", &["RETURN 1 // no; \n"], " x"),
            ("RETURN /* ; */ 1;;/* only */;", &["RETURN /* ; */ 1"], ""),
            ("MATCH (a)--(b); x", &["MATCH (a)--(b)"], " x"),
        ];
        for (text, complete, rest) in cases {
            assert_eq!(
                complete_statements(text),
                Statements {
                    complete: complete.to_vec(),
                    rest
                },
                "{text}"
            );
        }
    }

    #[test]
    fn an_unfinished_statement_is_not_blank_and_a_comment_is() {
        for (text, blank) in [
            ("", true),
            (" \n", true),
            ("/* c */ // d", true),
            ("/*", true),
            ("x", false),
            ("'", false),
            ("/* */x", false),
        ] {
            assert_eq!(is_blank(text), blank, "{text}");
        }
    }
}
