//! Text → tokens. Knows characters, comments and the shapes of numbers and strings, nothing of grammar.

use crate::token::{SYMBOLS, Token, TokenKind};
use crate::{Source, Span, syntax_error};
use geode_types::QueryError;

/// All tokens of a text, the last one being [`TokenKind::End`].
pub(crate) fn tokenize(text: &str) -> Result<Vec<Token>, QueryError> {
    let mut lexer = Lexer {
        source: Source::new(text),
        text,
        at: 0,
    };
    let mut tokens = Vec::with_capacity(text.len() / 4 + 1);
    loop {
        let token = lexer.next_token()?;
        tokens.push(token);
        if token.kind == TokenKind::End {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    source: Source<'a>,
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    fn skip_while(&mut self, mut test: impl FnMut(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !test(c)).unwrap_or(rest.len());
    }

    fn next_token(&mut self) -> Result<Token, QueryError> {
        self.skip_blanks()?;
        let start = self.at;
        let kind = match self.peek() {
            None => TokenKind::End,
            Some('\'' | '"') => self.quoted(TokenKind::Text)?,
            Some('`') => self.quoted(TokenKind::QuotedName)?,
            Some('x' | 'X') if self.peek_second() == Some('\'') => {
                self.at += 1;
                self.quoted(TokenKind::Bytes)?
            }
            Some('$') => self.parameter()?,
            Some(c) if c.is_ascii_digit() => self.number(),
            Some('.') if self.peek_second().is_some_and(|c| c.is_ascii_digit()) => self.number(),
            Some(c) if is_name_start(c) => {
                self.skip_while(is_name_part);
                TokenKind::Word
            }
            Some(c) => self.symbol(c)?,
        };
        Ok(Token {
            kind,
            span: Span::new(start, self.at),
        })
    }

    /// `--` is a comment (ISO/IEC 39075, 21.3) and in Cypher an edge: with a blank behind it, and not behind a `)` of its line, it is a comment.
    fn begins_minus_comment(&self) -> bool {
        let Some(behind) = self.rest().strip_prefix("--") else {
            return false;
        };
        let line = self.text[..self.at].rsplit('\n').next().unwrap_or_default();
        let is_edge = line.trim_end().ends_with(')');
        !is_edge && behind.chars().next().is_none_or(char::is_whitespace)
    }

    fn skip_blanks(&mut self) -> Result<(), QueryError> {
        loop {
            self.skip_while(char::is_whitespace);
            if self.rest().starts_with("//") || self.begins_minus_comment() {
                self.skip_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                let Some(end) = self.rest().find("*/") else {
                    let span = Span::new(self.at, self.text.len());
                    return Err(syntax_error(
                        self.source,
                        span,
                        "UnexpectedSyntax",
                        "this comment is never closed; write */ at its end",
                    ));
                };
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    /// A string or quoted name; a doubled quote stands for itself, a backslash protects the next character (not in names).
    fn quoted(&mut self, kind: TokenKind) -> Result<TokenKind, QueryError> {
        let start = self.at;
        let quote = self.peek().unwrap_or('\'');
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((offset, c)) = chars.next() {
            if c == '\\' && kind == TokenKind::Text {
                chars.next();
            } else if c == quote {
                if chars.peek().is_some_and(|(_, next)| *next == quote) {
                    chars.next();
                    continue;
                }
                self.at += offset + quote.len_utf8();
                return Ok(kind);
            }
        }
        let what = if kind == TokenKind::QuotedName {
            "quoted name"
        } else {
            "string"
        };
        let message = format!("this {what} is never closed; write {quote} at its end");
        Err(syntax_error(
            self.source,
            Span::new(start, self.text.len()),
            "UnexpectedSyntax",
            message,
        ))
    }

    fn parameter(&mut self) -> Result<TokenKind, QueryError> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some('`') => {
                self.quoted(TokenKind::QuotedName)?;
            }
            Some(c) if is_name_part(c) => self.skip_while(is_name_part),
            _ => {
                let span = Span::new(start, self.at);
                return Err(syntax_error(
                    self.source,
                    span,
                    "UnexpectedSyntax",
                    "a parameter needs a name after $, such as $name",
                ));
            }
        }
        Ok(TokenKind::Param)
    }

    fn number(&mut self) -> TokenKind {
        let start = self.at;
        let mut kind = TokenKind::Int;
        let prefix = self.rest().get(..2).unwrap_or_default().to_ascii_lowercase();
        if matches!(prefix.as_str(), "0x" | "0o" | "0b") {
            self.at += 2;
        } else {
            self.skip_while(is_digit_or_gap);
            let fraction =
                self.rest().starts_with('.') && self.peek_second().is_some_and(|c| c.is_ascii_digit());
            if fraction {
                kind = TokenKind::Float;
                self.at += 1;
                self.skip_while(is_digit_or_gap);
            }
            if let Some(length) = exponent_length(self.rest()) {
                kind = TokenKind::Float;
                self.at += length;
                self.skip_while(is_digit_or_gap);
            }
            kind = self.number_suffix().unwrap_or(kind);
        }
        self.skip_while(is_name_part);
        let span = Span::new(start, self.at);
        // Whether that is an error of the number or of its place, the parser knows.
        if !crate::literal::number_is_well_formed(self.source.slice(span), kind) {
            kind = TokenKind::MalformedNumber;
        }
        kind
    }

    /// `M` makes a number exact, `F` and `D` make it a float (ISO/IEC 39075, 21.2).
    fn number_suffix(&mut self) -> Option<TokenKind> {
        let kind = match self.peek()?.to_ascii_uppercase() {
            'M' => TokenKind::Decimal,
            'F' | 'D' => TokenKind::Float,
            _ => return None,
        };
        if self.peek_second().is_some_and(is_name_part) {
            return None;
        }
        self.at += 1;
        Some(kind)
    }

    fn symbol(&mut self, first: char) -> Result<TokenKind, QueryError> {
        if let Some((text, symbol)) = SYMBOLS.iter().find(|(text, _)| self.rest().starts_with(text)) {
            self.at += text.len();
            return Ok(TokenKind::Sym(*symbol));
        }
        let span = Span::new(self.at, self.at + first.len_utf8());
        let detail = if first.is_ascii() {
            "UnexpectedSyntax"
        } else {
            "InvalidUnicodeCharacter"
        };
        let message = format!("the character {first:?} has no meaning here");
        let error = syntax_error(self.source, span, detail, message);
        Err(match first {
            '\u{2010}'..='\u{2015}' | '\u{2212}' => {
                error.hint("this is a typographic dash; write the plain minus sign -")
            }
            '\u{2018}'..='\u{201F}' => error.hint("these are typographic quotes; write ' or \""),
            _ => error,
        })
    }
}

fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn is_name_part(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn is_digit_or_gap(c: char) -> bool {
    c == '_' || c.is_ascii_digit()
}

/// The length of `e`, an optional sign and nothing more, when a digit follows.
fn exponent_length(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix(['e', 'E'])?;
    let digits = after.strip_prefix(['+', '-']).unwrap_or(after);
    digits
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| rest.len() - digits.len())
}
