//! What the operators of one running statement share: the graph, resolved names, parameters, limits.

use super::columns::Columns;
use super::graph::Graph;
use super::profile::Profile;
use super::rows::Rows;
use super::table::Lookups;
use super::{Context, Params};
use crate::bind::Param;
use crate::catalog::{GraphChoice, graph_path, schema_path};
use crate::datum::{Datum, EdgeDatum, Entries};
use crate::error;
use crate::names::{NameIndex, Names};
use crate::plan::physical::LoweredQuery;
use geode_gql::{Source, Span};
use geode_graph::{GraphId, TokenKind};
use geode_types::{EdgeId, ErrorClass, MAX_VALUE_DEPTH, NodeId, QueryError};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// After so much work the limits are looked at: well below a millisecond.
const STEPS_BETWEEN_CHECKS: usize = 1024;

/// What a statement holds back, in all of its threads.
#[derive(Debug, Default)]
struct Held {
    rows: AtomicUsize,
    bytes: AtomicUsize,
}

/// What one thread has taken of the account less what it has given back. What one thread takes another one may give back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Net {
    rows: isize,
    bytes: isize,
}

impl Net {
    fn add(&mut self, rows: usize, bytes: usize) {
        self.rows += rows.cast_signed();
        self.bytes += bytes.cast_signed();
    }

    fn subtract(&mut self, rows: usize, bytes: usize) {
        self.rows -= rows.cast_signed();
        self.bytes -= bytes.cast_signed();
    }

    /// What was taken between an earlier look and this one, in addition to what is noted here.
    pub(super) fn note(&mut self, earlier: Self, now: Self) {
        self.rows += now.rows - earlier.rows;
        self.bytes += now.bytes - earlier.bytes;
    }
}

/// Takes away what was added; never more than there is.
fn subtract(from: &AtomicUsize, amount: usize) {
    let _ = from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
        Some(held.saturating_sub(amount))
    });
}

/// What the threads of a statement have in common. Each makes a state of its own of it.
#[derive(Clone)]
pub(super) struct Shared<'a> {
    context: &'a Context<'a>,
    names: &'a Names,
    source: Source<'a>,
    resolved: Vec<Option<u32>>,
    params: HashMap<Arc<str>, Datum>,
    subqueries: &'a [LoweredQuery<'a>],
    held: Arc<Held>,
    started: Instant,
    transaction_micros: i64,
    /// Whether accounts of the operators are asked for.
    pub is_profiled: bool,
}

impl<'a> Shared<'a> {
    /// The state of a thread that asks this graph.
    pub(super) fn cx(self, graph: &'a mut dyn Graph) -> Cx<'a> {
        Cx {
            graph,
            context: self.context,
            names: self.names,
            source: self.source,
            resolved: self.resolved,
            params: self.params,
            locals: Vec::new(),
            arguments: Vec::new(),
            subqueries: self.subqueries,
            profile: self.is_profiled.then(Profile::default),
            columns: Columns::default(),
            lookups: HashMap::new(),
            held: self.held,
            taken: Net::default(),
            steps: 0,
            operator: "",
            batch_rows: self.context.limits.batch_rows.max(1),
            without_indexes: false,
            random: RandomState::new().build_hasher().finish(),
            started: self.started,
            transaction_micros: self.transaction_micros,
        }
    }
}

/// The state of a running statement, or of one of its threads.
pub(crate) struct Cx<'a> {
    pub graph: &'a mut dyn Graph,
    pub context: &'a Context<'a>,
    names: &'a Names,
    source: Source<'a>,
    /// Catalog ids of the plan's names, as far as they are known.
    resolved: Vec<Option<u32>>,
    params: HashMap<Arc<str>, Datum>,
    /// Variables of list expressions under evaluation, outermost first.
    pub locals: Vec<Datum>,
    /// The rows that nested chains start from, innermost last.
    pub arguments: Vec<Rows>,
    /// The plans of queries within expressions, by number.
    pub subqueries: &'a [LoweredQuery<'a>],
    /// The accounts of the operators, when they are asked for.
    pub(super) profile: Option<Profile>,
    /// Properties that were read for the batch under way.
    pub(super) columns: Columns,
    /// What operators have looked up, by their places in the plan.
    pub(super) lookups: HashMap<usize, Lookups>,
    held: Arc<Held>,
    taken: Net,
    /// Work since the limits were looked at.
    steps: usize,
    /// How many rows an operator hands on at a time.
    pub(super) batch_rows: usize,
    /// Whether plans are made without indexes.
    pub without_indexes: bool,
    /// What runs now, for messages.
    pub operator: &'static str,
    /// The state of rand(), from the operating system's entropy once per execution.
    random: u64,
    started: Instant,
    /// The time of the transaction, microseconds since 1970.
    pub transaction_micros: i64,
}

impl<'a> Cx<'a> {
    pub(crate) fn new(
        graph: &'a mut dyn Graph,
        context: &'a Context<'a>,
        source: Source<'a>,
        names: &'a Names,
        wanted: &[Param],
        params: &Params,
    ) -> Result<Self, QueryError> {
        let transaction_micros = graph.began_micros(context.now_micros);
        let mut converted = HashMap::new();
        for Param { name, span } in wanted {
            let value = params
                .get(name.as_ref())
                .or_else(|| context.session.params().get(name.as_ref()))
                .ok_or_else(|| missing_parameter(name, params).at(source.position(*span)))?;
            converted.insert(name.clone(), Datum::from_value(value.clone())?);
        }
        let shared = Shared {
            context,
            names,
            source,
            resolved: vec![None; names.len()],
            params: converted,
            subqueries: &[],
            held: Arc::default(),
            started: Instant::now(),
            transaction_micros,
            is_profiled: false,
        };
        Ok(shared.cx(graph))
    }

    /// What another thread of the statement begins with.
    pub(super) fn shared(&self) -> Shared<'a> {
        Shared {
            context: self.context,
            names: self.names,
            source: self.source,
            resolved: self.resolved.clone(),
            params: self.params.clone(),
            subqueries: self.subqueries,
            held: self.held.clone(),
            started: self.started,
            transaction_micros: self.transaction_micros,
            is_profiled: self.profile.is_some(),
        }
    }

    /// Adds the place in the text, unless the error has one.
    pub(crate) fn placed(&self, error: QueryError, span: Span) -> QueryError {
        if error.position.is_some() {
            error
        } else {
            error.at(self.source.position(span))
        }
    }

    /// The batch is done, or will be changed.
    pub(super) fn forget_columns(&mut self) {
        self.columns = Columns::default();
    }

    pub(crate) fn param(&self, name: &str) -> Datum {
        self.params.get(name).cloned().unwrap_or_default()
    }

    /// The next random number in `0.0..1.0` (SplitMix64: for samples, not for secrets).
    pub(crate) fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The statement's time and what has passed since, microseconds since 1970.
    pub(crate) fn realtime_micros(&self) -> i64 {
        let passed = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.context.now_micros.saturating_add(passed)
    }

    /// See [`Context::check`].
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        self.context.check()
    }

    /// Counts work that no batch bounds: elements of lists, calls with long arguments. Once in a while it is looked whether to stop.
    pub(crate) fn worked(&mut self, steps: usize) -> Result<(), QueryError> {
        self.steps += steps;
        if self.steps < STEPS_BETWEEN_CHECKS {
            return Ok(());
        }
        self.steps = 0;
        self.check()
    }

    /// The number of a graph that the plan names.
    pub(crate) fn graph_of(&self, choice: &GraphChoice) -> Result<GraphId, QueryError> {
        let session = self.context.session;
        let schema = match &choice.at {
            Some(at) => schema_path(at, session.schema(), self.source, choice.span)?,
            None => session.schema().to_owned(),
        };
        match graph_path(&choice.graph, &schema, session.graph(), self.source)? {
            Some(path) => self.graph.graph_named(&path),
            None => Ok(GraphId::HOME),
        }
    }

    /// A value that an expression has put together, unless it nests too deep to be followed or is larger than the statement may need.
    pub(crate) fn admit(&self, value: Datum) -> Result<Datum, QueryError> {
        if value.depth() > MAX_VALUE_DEPTH {
            let message = format!("a value nests deeper than {MAX_VALUE_DEPTH} lists and records");
            return Err(error::limit("ValueTooDeep", message));
        }
        self.admit_bytes(value.heap_bytes())?;
        Ok(value)
    }

    /// Refuses a value of so many bytes before it is made, when the statement may not need that much.
    pub(crate) fn admit_bytes(&self, bytes: usize) -> Result<(), QueryError> {
        let limit = self.context.limits.max_memory_bytes;
        if bytes > limit {
            let message =
                format!("a single value takes more than {limit} bytes of memory (max_query_memory)");
            return Err(error::limit("OutOfMemory", message));
        }
        Ok(())
    }

    /// Accounts for rows that an operator holds back.
    pub(crate) fn hold(&mut self, rows: usize, bytes: usize) -> Result<(), QueryError> {
        let limits = &self.context.limits;
        self.taken.add(rows, bytes);
        let buffered_rows = self.held.rows.fetch_add(rows, Ordering::Relaxed) + rows;
        let memory = self.held.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.context.meter.set(memory);
        if buffered_rows > limits.max_rows_buffered {
            let message = format!(
                "the statement holds more than {} rows at once (max_rows_buffered), now in {}",
                limits.max_rows_buffered, self.operator
            );
            return Err(error::limit("TooManyRows", message)
                .hint("add LIMIT, or split the work into several statements"));
        }
        if memory > limits.max_memory_bytes {
            let message = format!(
                "the statement needs more than {} bytes of memory (max_query_memory), now in {}",
                limits.max_memory_bytes, self.operator
            );
            return Err(error::limit("OutOfMemory", message)
                .hint("add LIMIT, return less, or split the work into several statements"));
        }
        Ok(())
    }

    /// What is accounted for now.
    pub(super) fn memory(&self) -> usize {
        self.held.bytes.load(Ordering::Relaxed)
    }

    /// What this thread has taken of the account.
    pub(super) fn taken(&self) -> Net {
        self.taken
    }

    /// Gives back what was taken and is left of something that has ended.
    pub(super) fn settle(&mut self, taken: Net) {
        self.release(
            taken.rows.max(0).cast_unsigned(),
            taken.bytes.max(0).cast_unsigned(),
        );
    }

    /// What was held is kept until the statement ends, whatever ends before.
    pub(super) fn keep(&mut self, bytes: usize) {
        self.taken.subtract(0, bytes);
    }

    /// What another thread has taken is this one's now.
    pub(super) fn take_over(&mut self, taken: Net) {
        self.taken.note(Net::default(), taken);
    }

    /// Gives back what [`Cx::hold`] took.
    pub(crate) fn release(&mut self, rows: usize, bytes: usize) {
        self.taken.subtract(rows, bytes);
        subtract(&self.held.rows, rows);
        subtract(&self.held.bytes, bytes);
        self.context.meter.set(self.memory());
    }

    /// The name as written in the statement.
    pub(crate) fn name(&self, index: NameIndex) -> Arc<str> {
        self.names.get(index).1.clone()
    }

    /// The catalog's number of a name; none when nothing bears it.
    pub(crate) fn resolve(&mut self, index: NameIndex) -> Result<Option<u32>, QueryError> {
        if let Some(Some(id)) = self.resolved.get(index.0) {
            return Ok(Some(*id));
        }
        let (kind, name) = self.names.get(index);
        let id = self.graph.token_id(kind, name)?;
        self.resolved[index.0] = id;
        Ok(id)
    }

    /// The catalog's number of a name, defined if need be.
    pub(crate) fn define(&mut self, index: NameIndex) -> Result<u32, QueryError> {
        if let Some(id) = self.resolve(index)? {
            return Ok(id);
        }
        let (kind, name) = self.names.get(index);
        let id = self.graph.define(kind, name)?;
        self.resolved[index.0] = Some(id);
        Ok(id)
    }

    /// The number of a property key that is only known now.
    pub(crate) fn define_key(&mut self, name: &str) -> Result<u32, QueryError> {
        self.graph.define(TokenKind::PropertyKey, name)
    }

    /// The catalog numbers of types; names that nothing bears are left out. `None` stands for all types.
    pub(crate) fn types(&mut self, names: &[NameIndex]) -> Result<Option<Vec<u32>>, QueryError> {
        if names.is_empty() {
            return Ok(None);
        }
        let mut ids = Vec::with_capacity(names.len());
        for name in names {
            ids.extend(self.resolve(*name)?);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(Some(ids))
    }

    pub(crate) fn edge_type_name(&self, edge_type: u32) -> Result<Arc<str>, QueryError> {
        self.graph.token_name(TokenKind::EdgeType, edge_type)
    }

    /// The labels of a node, sorted by name.
    pub(crate) fn node_label_names(&self, id: NodeId) -> Result<Vec<Arc<str>>, QueryError> {
        let labels = self
            .graph
            .node_labels(id)?
            .ok_or_else(|| error::deleted("this node"))?;
        let names = labels
            .into_iter()
            .map(|label| self.graph.token_name(TokenKind::Label, label));
        let mut names = names.collect::<Result<Vec<_>, _>>()?;
        names.sort();
        Ok(names)
    }

    pub(crate) fn edge_ends(&self, id: EdgeId) -> Result<(NodeId, NodeId), QueryError> {
        let edge = self.graph.edge(id)?.ok_or_else(|| error::deleted("this edge"))?;
        Ok((edge.start, edge.end))
    }

    /// One property of a node or edge.
    pub(crate) fn property(&mut self, element: &Datum, key: NameIndex) -> Result<Datum, QueryError> {
        let key = self.resolve(key)?;
        self.property_by_id(element, key)
    }

    /// One property under a name that is only known now.
    pub(crate) fn property_by_name(&self, element: &Datum, key: &str) -> Result<Datum, QueryError> {
        let key = self.graph.token_id(TokenKind::PropertyKey, key)?;
        self.property_by_id(element, key)
    }

    fn property_by_id(&self, element: &Datum, key: Option<u32>) -> Result<Datum, QueryError> {
        let value = match (element, key) {
            (Datum::Node(id), Some(key)) => self.graph.node_property(*id, key)?,
            (Datum::Edge(edge), Some(key)) => self.graph.edge_property(edge.id, key)?,
            _ => None,
        };
        match value {
            Some(value) => Datum::from_value(value),
            None => {
                self.must_exist(element)?;
                Ok(Datum::Null)
            }
        }
    }

    /// Refuses to look into what this transaction deleted. Nothing else can vanish from a snapshot.
    fn must_exist(&self, element: &Datum) -> Result<(), QueryError> {
        if !self.graph.has_writes() {
            return Ok(());
        }
        match element {
            Datum::Node(id) if !self.graph.node_exists(*id)? => Err(error::deleted("this node")),
            Datum::Edge(edge) if self.graph.edge(edge.id)?.is_none() => Err(error::deleted("this edge")),
            _ => Ok(()),
        }
    }

    /// All properties of a node or edge, by name.
    pub(crate) fn element_properties(&self, element: &Datum) -> Result<Entries, QueryError> {
        let properties: geode_graph::PropertyList = match element {
            Datum::Node(id) => {
                self.graph
                    .node(*id)?
                    .ok_or_else(|| error::deleted("this node"))?
                    .properties
            }
            Datum::Edge(EdgeDatum { id, .. }) => {
                self.graph
                    .edge(*id)?
                    .ok_or_else(|| error::deleted("this edge"))?
                    .properties
            }
            _ => Vec::new(),
        };
        let named = properties.into_iter().map(|(key, value)| {
            Ok((
                self.graph.token_name(TokenKind::PropertyKey, key)?,
                Datum::from_value(value)?,
            ))
        });
        let mut entries = named.collect::<Result<Entries, QueryError>>()?;
        entries.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(entries)
    }
}

pub(crate) fn missing_parameter(name: &str, params: &Params) -> QueryError {
    let message = format!("the parameter ${name} has no value");
    let error = QueryError::compile(ErrorClass::ParameterMissing, "MissingParameter", "42002", message);
    match geode_types::nearest(name, params.keys().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean ${near}?")),
        None => error.hint("pass it with the statement, for example --param name=value"),
    }
}
