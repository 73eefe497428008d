//! Node and edge records and their stored form.
//!
//! A record's properties stand behind its labels (or its type and ends) as `key, length, value`, ascending by key, so that one
//! property is found without decoding the others. Values have the encoding of `geode-types`.

use crate::codec::{DecodeError, Decoded, end_of, put_u64, take_bytes, take_count, take_u32, take_u64};
use geode_types::{EdgeId, NodeId, Value, decode_value, encode_value};
use smallvec::SmallVec;

/// Label ids, ascending.
pub type Labels = SmallVec<[u32; 2]>;

/// Property key ids and values, ascending by id; never null.
pub type PropertyList = Vec<(u32, Value)>;

/// A node as it is stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeRecord {
    /// Label ids, ascending.
    pub labels: Labels,
    /// Properties, ascending by key id.
    pub properties: PropertyList,
}

/// An edge as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeRecord {
    /// The id of its type.
    pub edge_type: u32,
    /// Where it starts.
    pub start: NodeId,
    /// Where it ends.
    pub end: NodeId,
    /// Properties, ascending by key id.
    pub properties: PropertyList,
}

/// An edge without its properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EdgeRef {
    /// Identity.
    pub edge: EdgeId,
    /// The id of its type.
    pub edge_type: u32,
    /// Where it starts.
    pub start: NodeId,
    /// Where it ends.
    pub end: NodeId,
}

impl NodeRecord {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(self.labels.len() as u64, out);
        self.labels
            .iter()
            .for_each(|label| put_u64(u64::from(*label), out));
        put_properties(&self.properties, out);
    }

    pub(crate) fn take(input: &mut &[u8]) -> Decoded<Self> {
        let labels = take_labels(input)?;
        Ok(Self {
            labels,
            properties: take_properties(input)?,
        })
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Decoded<Self> {
        let record = Self::take(&mut bytes)?;
        end_of(bytes).map(|()| record)
    }
}

impl EdgeRecord {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_ends(self, out);
        put_properties(&self.properties, out);
    }

    pub(crate) fn take(input: &mut &[u8]) -> Decoded<Self> {
        let (edge_type, start, end) = take_ends(input)?;
        Ok(Self {
            edge_type,
            start,
            end,
            properties: take_properties(input)?,
        })
    }

    pub(crate) fn as_ref(&self, edge: EdgeId) -> EdgeRef {
        EdgeRef {
            edge,
            edge_type: self.edge_type,
            start: self.start,
            end: self.end,
        }
    }
}

/// The labels at the head of a stored node.
pub(crate) fn take_labels(input: &mut &[u8]) -> Decoded<Labels> {
    let count = take_count(input)?;
    let mut labels = Labels::with_capacity(count);
    for _ in 0..count {
        let label = take_u32(input)?;
        if labels.last().is_some_and(|last| *last >= label) {
            return Err(DecodeError::Unsorted);
        }
        labels.push(label);
    }
    Ok(labels)
}

/// What stands at the head of a stored edge.
pub(crate) fn put_ends(record: &EdgeRecord, out: &mut Vec<u8>) {
    put_u64(u64::from(record.edge_type), out);
    put_u64(record.start.0, out);
    put_u64(record.end.0, out);
}

/// Type and ends at the head of a stored edge.
pub(crate) fn take_ends(input: &mut &[u8]) -> Decoded<(u32, NodeId, NodeId)> {
    Ok((
        take_u32(input)?,
        NodeId(take_u64(input)?),
        NodeId(take_u64(input)?),
    ))
}

pub(crate) fn put_properties(properties: &[(u32, Value)], out: &mut Vec<u8>) {
    put_u64(properties.len() as u64, out);
    let mut content = Vec::new();
    for (key, value) in properties {
        put_u64(u64::from(*key), out);
        content.clear();
        encode_value(value, &mut content);
        put_u64(content.len() as u64, out);
        out.extend_from_slice(&content);
    }
}

pub(crate) fn take_properties(input: &mut &[u8]) -> Decoded<PropertyList> {
    let count = take_count(input)?;
    let mut properties = PropertyList::with_capacity(count.min(64));
    for _ in 0..count {
        let key = take_u32(input)?;
        if properties.last().is_some_and(|(last, _)| *last >= key) {
            return Err(DecodeError::Unsorted);
        }
        properties.push((key, take_value(input)?));
    }
    Ok(properties)
}

/// One property of what follows a record's head.
pub(crate) fn find_property(mut input: &[u8], wanted: u32) -> Decoded<Option<Value>> {
    for _ in 0..take_count(&mut input)? {
        let key = take_u32(&mut input)?;
        if key == wanted {
            return take_value(&mut input).map(Some);
        }
        if key > wanted {
            break;
        }
        take_bytes(&mut input)?;
    }
    Ok(None)
}

fn take_value(input: &mut &[u8]) -> Decoded<Value> {
    whole_value(take_bytes(input)?)
}

/// The value that these bytes are.
pub(crate) fn whole_value(mut bytes: &[u8]) -> Decoded<Value> {
    let value = decode_value(&mut bytes).map_err(|_| DecodeError::BadValue)?;
    end_of(bytes).map(|()| value)
}

/// The property of an ascending list.
pub(crate) fn property_in(properties: &[(u32, Value)], key: u32) -> Option<&Value> {
    properties
        .binary_search_by_key(&key, |(id, _)| *id)
        .ok()
        .map(|at| &properties[at].1)
}
