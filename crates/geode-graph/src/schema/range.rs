//! What a query looks for in an index, as a range of its keys.

use super::rule::Rule;
use super::value_key;
use geode_types::Value;

/// Keys of an index, the rule's number and the nodes' left away: `from <= key < to`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRange {
    pub(crate) from: Box<[u8]>,
    /// None: to the end.
    pub(crate) to: Option<Box<[u8]>>,
}

/// A condition on an index: equality on its first keys, and something on the next one.
#[derive(Clone, Debug)]
pub struct Probe<'v> {
    /// The values of the first keys.
    pub equal: &'v [Value],
    /// What is asked of the next key.
    pub last: Last<'v>,
}

/// What is asked of the key behind those that are equal to something.
#[derive(Clone, Copy, Debug)]
pub enum Last<'v> {
    /// Nothing.
    Any,
    /// A text that begins like this.
    Prefix(&'v str),
    /// Between two values; one that is `None` is no bound.
    Between(Option<&'v Value>, Option<&'v Value>),
}

impl KeyRange {
    /// Every key.
    pub fn all() -> Self {
        Self {
            from: Box::default(),
            to: None,
        }
    }

    /// What begins with these bytes.
    pub(crate) fn beginning(bytes: Vec<u8>) -> Self {
        Self {
            to: successor(bytes.clone()),
            from: bytes.into(),
        }
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        *key >= *self.from && self.to.as_deref().is_none_or(|to| key < to)
    }
}

impl Probe<'_> {
    /// The keys that can fulfil the condition, or none when nothing can. Others may be among them: the condition has to be tested.
    pub fn range(&self, rule: &Rule) -> Option<KeyRange> {
        let room = rule.room();
        let mut start = Vec::new();
        for value in self.equal {
            if value.is_null() {
                return None;
            }
            value_key::put(value, room, &mut start);
        }
        match self.last {
            Last::Any => Some(KeyRange::beginning(start)),
            Last::Prefix(prefix) => {
                value_key::put_prefix(prefix, room, &mut start);
                Some(KeyRange::beginning(start))
            }
            Last::Between(from, to) => between(start, from, to, room),
        }
    }
}

fn between(start: Vec<u8>, from: Option<&Value>, to: Option<&Value>, room: usize) -> Option<KeyRange> {
    if [from, to].into_iter().flatten().any(Value::is_null) {
        return None;
    }
    let mut span: Option<(u8, u8)> = None;
    for bound in [from, to].into_iter().flatten() {
        let Some(of_bound) = value_key::comparable(bound) else {
            // Lists are compared item by item: any entry may do.
            return Some(KeyRange::beginning(start));
        };
        if span.is_some_and(|known| known != of_bound) {
            return None;
        }
        span = Some(of_bound);
    }
    let (first, end) = span?;
    let with = |byte: u8| [start.as_slice(), &[byte]].concat();
    let beginning = |value: &Value| {
        let mut bytes = start.clone();
        value_key::put_beginning(value, room, &mut bytes);
        bytes
    };
    let from = from.map_or_else(|| with(first), beginning);
    // The value itself belongs to the range: whether the bound is strict is for the condition to say.
    let to = to.map_or_else(|| Some(with(end).into()), |to| successor(beginning(to)));
    Some(KeyRange {
        from: from.into(),
        to,
    })
}

/// The first bytes that are above all that begin like these; none when there are none.
fn successor(mut bytes: Vec<u8>) -> Option<Box<[u8]>> {
    while let Some(last) = bytes.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            return Some(bytes.into());
        }
        bytes.pop();
    }
    None
}
