//! A node as it is stored or buffered, of which only what is asked for is decoded.

use crate::codec::{DecodeError, Decoded, take_bytes, take_count, take_u32};
use crate::error::{GraphError, Result};
use crate::record::{Labels, NodeRecord, property_in, take_labels, whole_value};
use geode_types::{Scalar, Value, decode_scalar};

/// A node as it is stored or buffered.
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'n>(Content<'n>);

#[derive(Clone, Copy, Debug)]
enum Content<'n> {
    Stored(&'n [u8]),
    Record(&'n NodeRecord),
}

/// A property that has not been decoded.
#[derive(Clone, Copy, Debug)]
pub struct Property<'n>(Form<'n>);

#[derive(Clone, Copy, Debug)]
enum Form<'n> {
    Stored(&'n [u8]),
    Value(&'n Value),
}

impl<'n> NodeView<'n> {
    #[inline]
    pub(crate) fn stored(bytes: &'n [u8]) -> Self {
        Self(Content::Stored(bytes))
    }

    pub(crate) fn record(record: &'n NodeRecord) -> Self {
        Self(Content::Record(record))
    }

    /// Its labels.
    pub fn labels(&self) -> Result<Labels> {
        match self.0 {
            Content::Stored(mut bytes) => take_labels(&mut bytes).map_err(undecodable),
            Content::Record(record) => Ok(record.labels.clone()),
        }
    }

    /// Whether it has a label.
    #[inline]
    pub fn has_label(&self, label: u32) -> Result<bool> {
        match self.0 {
            Content::Stored(bytes) => has_label(bytes, label).map_err(undecodable),
            Content::Record(record) => Ok(record.labels.contains(&label)),
        }
    }

    /// Hands the properties with these keys, ascending, to `each` with their places.
    #[inline]
    pub fn properties(&self, keys: &[u32], mut each: impl FnMut(usize, Property<'n>)) -> Result<()> {
        match self.0 {
            Content::Stored(mut bytes) => {
                let found = skip_labels(&mut bytes).and_then(|()| find(bytes, keys, &mut each));
                found.map_err(undecodable)
            }
            Content::Record(record) => {
                for (place, key) in keys.iter().enumerate() {
                    if let Some(value) = property_in(&record.properties, *key) {
                        each(place, Property(Form::Value(value)));
                    }
                }
                Ok(())
            }
        }
    }
}

impl<'n> Property<'n> {
    /// The value if it is short, see [`decode_scalar`].
    #[inline]
    pub fn scalar(&self) -> Option<Scalar<'n>> {
        match self.0 {
            Form::Stored(bytes) => decode_scalar(bytes),
            Form::Value(Value::Null) => Some(Scalar::Null),
            Form::Value(Value::Bool(truth)) => Some(Scalar::Bool(*truth)),
            Form::Value(Value::Int(number)) => Some(Scalar::Int(*number)),
            Form::Value(Value::Float(number)) => Some(Scalar::Float(*number)),
            Form::Value(Value::String(text)) => Some(Scalar::String(text)),
            Form::Value(_) => None,
        }
    }

    /// The value.
    pub fn value(&self) -> Result<Value> {
        match self.0 {
            Form::Stored(bytes) => whole_value(bytes).map_err(undecodable),
            Form::Value(value) => Ok(value.clone()),
        }
    }
}

fn undecodable(error: DecodeError) -> GraphError {
    GraphError::undecodable("a node")(error)
}

#[inline]
fn has_label(mut bytes: &[u8], wanted: u32) -> Decoded<bool> {
    for _ in 0..take_count(&mut bytes)? {
        let label = take_u32(&mut bytes)?;
        if label >= wanted {
            return Ok(label == wanted);
        }
    }
    Ok(false)
}

#[inline]
fn skip_labels(input: &mut &[u8]) -> Decoded<()> {
    for _ in 0..take_count(input)? {
        take_u32(input)?;
    }
    Ok(())
}

/// Some properties of what follows a record's head, all in one pass.
#[inline]
fn find<'n>(mut input: &'n [u8], keys: &[u32], each: &mut impl FnMut(usize, Property<'n>)) -> Decoded<()> {
    let mut wanted = 0;
    for _ in 0..take_count(&mut input)? {
        let key = take_u32(&mut input)?;
        while keys.get(wanted).is_some_and(|other| *other < key) {
            wanted += 1;
        }
        match keys.get(wanted) {
            None => break,
            Some(other) => {
                let value = take_bytes(&mut input)?;
                if *other == key {
                    each(wanted, Property(Form::Stored(value)));
                    wanted += 1;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    proptest! {
        #[test]
        fn a_stored_node_shows_what_its_record_has(
            labels in prop::collection::btree_set(1u32..300, 0..4),
            properties in prop::collection::btree_map(1u32..300, any::<i64>(), 0..6),
            keys in prop::collection::btree_set(1u32..300, 0..6),
            label in 1u32..300,
        ) {
            let record = NodeRecord {
                labels: labels.iter().copied().collect(),
                properties: properties.iter().map(|(key, value)| (*key, Value::Int(*value))).collect(),
            };
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            let keys: Vec<u32> = BTreeSet::into_iter(keys).collect();
            for view in [NodeView::stored(&bytes), NodeView::record(&record)] {
                prop_assert_eq!(view.labels().unwrap(), record.labels.clone());
                prop_assert_eq!(view.has_label(label).unwrap(), labels.contains(&label));
                let mut found = BTreeMap::new();
                view.properties(&keys, |place, property| {
                    found.insert(keys[place], (property.scalar(), property.value().unwrap()));
                }).unwrap();
                let wanted: BTreeMap<_, _> = properties
                    .iter()
                    .filter(|(key, _)| keys.contains(key))
                    .map(|(key, value)| (*key, (Some(Scalar::Int(*value)), Value::Int(*value))))
                    .collect();
                prop_assert_eq!(found, wanted);
            }
        }
    }
}
