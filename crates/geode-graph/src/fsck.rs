//! Checks that what is stored agrees with itself: records, adjacency, label index, indexes and constraints, counters, catalog, sessions.
//!
//! Each structure is walked once. Edges and adjacency lists are compared by the sum of a 128-bit hash of what both sides say;
//! only when the sums differ is each edge looked up, to name it. Memory grows with the catalog alone.

mod report;

pub use report::{MAX_PROBLEMS, Report};

use crate::adjacency::{self, BlockKey, IN, OUT};
use crate::block::{self, MAX_BLOCK_BYTES};
use crate::catalog::{self, TokenKind};
use crate::counters::{self, Sizes, Totals};
use crate::edges::{self, Stored};
use crate::error::{GraphError, Result};
use crate::graphs::{self, GraphId};
use crate::keys::{
    self, ADJACENCY, EDGES, EDGES_PER_BLOCK, HEAD, INDEX, Key, LABELS, NODES, REQUESTS, SESSION_AGES,
    SESSIONS, TOKEN_IDS, TOKEN_NAMES,
};
use crate::record::{EdgeRef, NodeRecord};
use crate::schema::{self, IndexStatistics, Rule, RuleState};
use geode_store::Reader;
use geode_types::{EdgeId, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_128;

/// Checks everything. An error means that the store could not be read; what is wrong with the content is in the report.
pub fn fsck(read: &impl Reader) -> Result<Report> {
    let mut check = Check {
        read,
        report: Report::default(),
        seen: Totals::default(),
        sizes: BTreeMap::new(),
        dropped: graphs::dropped_graphs(read)?.into_iter().collect(),
        counts: BTreeMap::new(),
        tokens: BTreeSet::new(),
        sides: [0; 2],
        rules: schema::rules(read)?,
        entries: BTreeMap::new(),
    };
    check.tokens()?;
    check.nodes()?;
    check.labels()?;
    check.indexes()?;
    check.edges()?;
    check.adjacency()?;
    check.sessions()?;
    check.totals()?;
    Ok(check.report)
}

struct Check<'r, R> {
    read: &'r R,
    report: Report,
    /// What the counters should say (the next ids as lower bounds).
    seen: Totals,
    sizes: BTreeMap<GraphId, Sizes>,
    /// Graphs that are being emptied: what is left of them need not agree.
    dropped: BTreeSet<GraphId>,
    counts: BTreeMap<(GraphId, TokenKind, u32), u64>,
    tokens: BTreeSet<(TokenKind, u32)>,
    /// The list entries that edges ask for, and those that there are, as sums of hashes.
    sides: [u128; 2],
    rules: Vec<Rule>,
    /// How many nodes ask for an entry in each index.
    entries: BTreeMap<u32, u64>,
}

/// What an edge is to the nodes at its two ends: the node, the direction, and the node at the other end.
fn sides(edge: EdgeRef) -> [(NodeId, u8, NodeId); 2] {
    [(edge.start, OUT, edge.end), (edge.end, IN, edge.start)]
}

/// One entry of an adjacency list as a number.
fn fingerprint(node: u64, outgoing: bool, edge_type: u32, pair: (u64, u64)) -> u128 {
    let mut bytes = [0; 29];
    bytes[..8].copy_from_slice(&node.to_be_bytes());
    bytes[8] = u8::from(outgoing);
    bytes[9..13].copy_from_slice(&edge_type.to_be_bytes());
    bytes[13..21].copy_from_slice(&pair.0.to_be_bytes());
    bytes[21..].copy_from_slice(&pair.1.to_be_bytes());
    xxh3_128(&bytes)
}

impl<R: Reader> Check<'_, R> {
    fn each(
        &mut self,
        prefix: Key,
        mut each: impl FnMut(&mut Self, &[u8], &[u8]) -> Result<()>,
    ) -> Result<u64> {
        let mut entries = 0;
        let read = self.read;
        for entry in read.range(&prefix, Some(&prefix.end()))? {
            let (key, value) = entry?;
            entries += 1;
            each(self, key, value)?;
        }
        Ok(entries)
    }

    fn tokens(&mut self) -> Result<()> {
        for kind in TokenKind::ALL {
            for (id, name) in catalog::all(self.read, kind)? {
                if catalog::id(self.read, kind, &name)? != Some(id) {
                    self.report
                        .problem(|| format!("{kind:?} {id} is named {name}, but that name leads elsewhere"));
                }
                self.tokens.insert((kind, id));
                let next = &mut self.seen.next_token[usize::from(kind.code())];
                *next = (*next).max(id.saturating_add(1));
            }
        }
        let names = self.each(Key::new(TOKEN_NAMES), |_, _, _| Ok(()))?;
        let ids = self.each(Key::new(TOKEN_IDS), |_, _, _| Ok(()))?;
        if names != ids {
            self.report
                .problem(|| format!("the catalog has {names} names by number and {ids} numbers by name"));
        }
        Ok(())
    }

    fn known(&mut self, kind: TokenKind, id: u32, of: impl Fn() -> String) {
        if !self.tokens.contains(&(kind, id)) {
            self.report
                .problem(|| format!("{} uses {kind:?} {id}, which has no name", of()));
        }
    }

    fn nodes(&mut self) -> Result<()> {
        self.each(Key::new(NODES), |check, key, value| {
            let id = NodeId(keys::id_at(key, HEAD).unwrap_or(0));
            let graph = GraphId::of_node(id);
            if check.dropped.contains(&graph) {
                return Ok(());
            }
            check.report.nodes += 1;
            let sizes = check.sizes.entry(graph).or_insert_with(|| Sizes::empty(graph));
            sizes.nodes += 1;
            sizes.next_node = sizes.next_node.max(id.0 + 1);
            let Ok(record) = NodeRecord::decode(value) else {
                check.report.problem(|| format!("node {id} cannot be read"));
                return Ok(());
            };
            check.rules(id, &record)?;
            let of = || format!("node {id}");
            for (property, _) in &record.properties {
                check.known(TokenKind::PropertyKey, *property, of);
            }
            for label in &record.labels {
                check.known(TokenKind::Label, *label, of);
                *check.counts.entry((graph, TokenKind::Label, *label)).or_default() += 1;
                if check.read.get(&keys::label(*label, id))?.is_none() {
                    check
                        .report
                        .problem(|| format!("node {id} has label {label} but is not in its index"));
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    /// What indexes and constraints say about a node.
    fn rules(&mut self, id: NodeId, record: &NodeRecord) -> Result<()> {
        for rule in &self.rules {
            let reached = match rule.state {
                RuleState::Online => true,
                RuleState::Building(after) => id <= after,
                RuleState::Dropping(_) => false,
            };
            if !reached || !Rule::concerns(id) {
                continue;
            }
            if rule.broken_by(record).is_some() {
                self.report
                    .problem(|| format!("node {id} does not keep the constraint {}", rule.name));
            }
            let Some(values) = rule.values(record).filter(|_| rule.is_index()) else {
                continue;
            };
            *self.entries.entry(rule.id.0).or_default() += 1;
            if !schema::check_entry(self.read, rule.id, &values, id)? {
                self.report
                    .problem(|| format!("node {id} is missing in the index {}", rule.name));
            }
        }
        Ok(())
    }

    /// Entries are counted; that every node has its own was seen at the nodes, so an equal count leaves no room for others.
    fn indexes(&mut self) -> Result<()> {
        let mut all = 0;
        for rule in std::mem::take(&mut self.rules) {
            let mut seen = IndexStatistics::default();
            let mut last: Option<Vec<u8>> = None;
            let (mut twice, mut unreadable) = (0u64, 0u64);
            all += self.each(schema::prefix(rule.id), |_, key, _| {
                let Some(values) = schema::values_at(rule.id, key).filter(|_| schema::node_at(key).is_some())
                else {
                    unreadable += 1;
                    return Ok(());
                };
                seen.entries += 1;
                if last.as_deref() == Some(values) {
                    twice += 1;
                } else {
                    seen.distinct += 1;
                    last = Some(values.to_vec());
                }
                Ok(())
            })?;
            let (name, report) = (&rule.name, &mut self.report);
            if unreadable > 0 {
                report.problem(|| format!("{unreadable} keys of the index {name} cannot be read"));
            }
            if rule.is_unique() && rule.state == RuleState::Online && twice > 0 {
                report.problem(|| format!("the constraint {name} is violated {twice} times"));
            }
            let counted = schema::statistics(self.read, rule.id)?;
            if rule.is_kept() && counted != seen {
                report.problem(|| format!("the index {name} is counted {counted:?}, it has {seen:?}"));
            }
            let wanted = self.entries.get(&rule.id.0).copied().unwrap_or(0);
            if rule.state == RuleState::Online && seen.entries != wanted {
                let found = seen.entries;
                report.problem(|| format!("the index {name} has {found} entries, nodes ask for {wanted}"));
            }
        }
        let entries = self.each(Key::new(INDEX), |_, _, _| Ok(()))?;
        if entries != all {
            self.report
                .problem(|| format!("{} entries belong to no index", entries - all));
        }
        Ok(())
    }

    fn labels(&mut self) -> Result<()> {
        let mut indexed = 0;
        self.each(Key::new(LABELS), |check, key, _| {
            let mut rest = key.get(HEAD..).unwrap_or_default();
            let node = keys::take_id(&mut rest).and_then(|_| keys::take_id(&mut rest));
            let graph = GraphId::of_node(NodeId(node.unwrap_or(0)));
            indexed += u64::from(!check.dropped.contains(&graph));
            Ok(())
        })?;
        let labelled: u64 = self.counts.values().sum();
        if indexed != labelled {
            let what = format!("the label index has {indexed} entries, nodes have {labelled} labels");
            self.report.problem(|| what);
        }
        Ok(())
    }

    /// Calls `each` with every edge that can be read; the others are problems.
    fn each_edge(&mut self, mut each: impl FnMut(&mut Self, Stored<'_>) -> Result<()>) -> Result<()> {
        for stored in edges::from(self.read, EdgeId(0))? {
            match stored {
                Ok(stored) if self.dropped.contains(&GraphId::of_edge(stored.edge.edge)) => {}
                Ok(stored) => each(self, stored)?,
                Err(GraphError::Corrupt { what }) => self.report.problem(|| what),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn edges(&mut self) -> Result<()> {
        let mut apart = 0;
        self.each_edge(|check, stored| {
            let (id, edge_type) = (stored.edge.edge, stored.edge.edge_type);
            let graph = GraphId::of_edge(id);
            check.report.edges += 1;
            let sizes = check.sizes.entry(graph).or_insert_with(|| Sizes::empty(graph));
            sizes.edges += 1;
            sizes.next_edge = sizes.next_edge.max(id.0 + 1);
            apart += u64::from(stored.apart);
            let of = || format!("edge {id}");
            check.known(TokenKind::EdgeType, edge_type, of);
            match stored.properties() {
                Ok(properties) => {
                    for (property, _) in &properties {
                        check.known(TokenKind::PropertyKey, *property, of);
                    }
                }
                Err(error) => check.report.problem(|| error.to_string()),
            }
            *check
                .counts
                .entry((graph, TokenKind::EdgeType, edge_type))
                .or_default() += 1;
            for (node, direction, other) in sides(stored.edge) {
                if GraphId::of_node(node) != graph {
                    check
                        .report
                        .problem(|| format!("edge {id} is attached to node {node} of another graph"));
                }
                if check.read.get(&keys::node(node))?.is_none() {
                    check
                        .report
                        .problem(|| format!("edge {id} is attached to node {node}, which does not exist"));
                }
                let print = fingerprint(node.0, direction == OUT, edge_type, (other.0, id.0));
                check.sides[0] = check.sides[0].wrapping_add(print);
            }
            Ok(())
        })?;
        let mut keys = 0;
        self.each(Key::new(EDGES), |check, key, _| {
            let block = keys::take_id(&mut key.get(HEAD..).unwrap_or_default()).unwrap_or(0);
            let graph = GraphId::of_edge(EdgeId(block.saturating_mul(EDGES_PER_BLOCK)));
            keys += u64::from(edges::stands_apart(key) && !check.dropped.contains(&graph));
            Ok(())
        })?;
        if keys != apart {
            self.report
                .problem(|| format!("{apart} records of edges should stand apart, {keys} do"));
        }
        Ok(())
    }

    /// Names the edges that their lists lack.
    fn find_unlisted(&mut self) -> Result<()> {
        self.each_edge(|check, stored| {
            let (id, edge_type) = (stored.edge.edge, stored.edge.edge_type);
            for (node, direction, other) in sides(stored.edge) {
                let listed = adjacency::contains(check.read, node, direction, edge_type, (other.0, id.0));
                if !listed.unwrap_or(false) {
                    let side = if direction == OUT { "outgoing" } else { "incoming" };
                    check
                        .report
                        .problem(|| format!("edge {id} is missing among the {side} edges of node {node}"));
                }
            }
            Ok(())
        })
    }

    fn adjacency(&mut self) -> Result<()> {
        let mut pairs = [0u64; 2];
        self.each(Key::new(ADJACENCY), |check, key, value| {
            let at = BlockKey::parse(key)?;
            if check.dropped.contains(&GraphId::of_node(at.node)) {
                return Ok(());
            }
            check.report.blocks += 1;
            let Ok(block) = block::decode(value) else {
                check
                    .report
                    .problem(|| format!("an adjacency block of node {} cannot be read", at.node));
                return Ok(());
            };
            pairs[usize::from(at.outgoing)] += block.len() as u64;
            for pair in &block {
                let print = fingerprint(at.node.0, at.outgoing, at.edge_type, *pair);
                check.sides[1] = check.sides[1].wrapping_add(print);
            }
            let fits = match (block.last(), at.last) {
                (None, _) => false,
                (Some(last), Some(bound)) => *last <= bound,
                (Some(_), None) => true,
            };
            if !fits || value.len() > MAX_BLOCK_BYTES {
                check
                    .report
                    .problem(|| format!("an adjacency block of node {} is out of its bounds", at.node));
            }
            Ok(())
        })?;
        for (side, count) in [("incoming", pairs[0]), ("outgoing", pairs[1])] {
            let edges = self.report.edges;
            if count != edges {
                self.report
                    .problem(|| format!("there are {edges} edges but {count} {side} entries"));
            }
        }
        if self.sides[0] != self.sides[1] {
            self.report
                .problem(|| "edges and adjacency lists do not agree".to_owned());
            self.find_unlisted()?;
        }
        Ok(())
    }

    fn sessions(&mut self) -> Result<()> {
        let sessions = self.each(Key::new(SESSIONS), |_, _, _| Ok(()))?;
        let ages = self.each(Key::new(SESSION_AGES), |check, key, value| {
            let known = match value.try_into() {
                Ok(bytes) => check
                    .read
                    .get(&keys::session(uuid::Uuid::from_bytes(bytes)))?
                    .is_some(),
                Err(_) => false,
            };
            if !known {
                let index = keys::u64_at(key, HEAD).unwrap_or(0);
                check
                    .report
                    .problem(|| format!("the session of index {index} is not in the session table"));
            }
            Ok(())
        })?;
        self.each(Key::new(REQUESTS), |check, key, _| {
            let session = key
                .get(HEAD..HEAD + 16)
                .map(|session| Key::new(SESSIONS).push(session));
            if !matches!(
                session.map(|session| check.read.get(&session)).transpose()?,
                Some(Some(_))
            ) {
                check
                    .report
                    .problem(|| "a request belongs to a session that is not in the session table".to_owned());
            }
            Ok(())
        })?;
        self.seen.sessions = sessions;
        if ages != sessions {
            self.report
                .problem(|| format!("there are {sessions} sessions but {ages} ages"));
        }
        Ok(())
    }

    fn totals(&mut self) -> Result<()> {
        let (stored, mut seen) = (Totals::read(self.read)?, self.seen);
        let mut graphs = std::mem::take(&mut self.sizes);
        seen.set_home(
            graphs
                .remove(&GraphId::HOME)
                .unwrap_or_else(|| Sizes::empty(GraphId::HOME)),
        );
        let equal = stored.sessions == seen.sessions && agree(stored.home(), seen.home());
        let beyond = stored
            .next_token
            .iter()
            .zip(seen.next_token)
            .all(|(stored, seen)| *stored >= seen);
        if !equal || !beyond {
            self.report
                .problem(|| format!("the counters are {stored:?}, the graph has {seen:?}"));
        }
        for (graph, stored) in counters::graphs(self.read)? {
            let seen = graphs.remove(&graph).unwrap_or_else(|| Sizes::empty(graph));
            if !self.dropped.contains(&graph) && !agree(stored, seen) {
                self.report.problem(|| {
                    format!(
                        "the counters of graph {} are {stored:?}, it has {seen:?}",
                        graph.0
                    )
                });
            }
        }
        for (graph, seen) in graphs {
            self.report
                .problem(|| format!("graph {} has no counters, but {seen:?}", graph.0));
        }
        for ((graph, kind, id), count) in std::mem::take(&mut self.counts) {
            let stored = counters::count(self.read, graph, kind, id)?;
            if stored != count {
                self.report
                    .problem(|| format!("{kind:?} {id} is counted {stored} times, it occurs {count} times"));
            }
        }
        Ok(())
    }
}

/// Whether counters say what was seen; ids that were given need not be there any more.
fn agree(stored: Sizes, seen: Sizes) -> bool {
    (stored.nodes, stored.edges) == (seen.nodes, seen.edges)
        && stored.next_node >= seen.next_node
        && stored.next_edge >= seen.next_edge
}
