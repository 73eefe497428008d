//! What a statement needs of rights, and whether who runs it has them (docs/adr/0021).
//!
//! The needs follow from the bound statement alone, so they are found once and cached with it. An element keeps its graph however far it is
//! handed on, so what changes or deletes elements needs the right on every graph that the statement works on; what creates and matches needs
//! it where it stands.

use crate::Body;
use crate::catalog::{GraphChoice, graph_path, schema_path, session_graph};
use crate::exec::Context;
use crate::plan::logical::{CreateElement, Plan, QueryPlan, Step};
use geode_gql::ast::{Name, UserCommand};
use geode_gql::{Source, Span};
use geode_graph::{Actions, GraphId, Rights, Transaction};
use geode_store::ReadTxn;
use geode_types::{ErrorClass, QueryError};
use std::collections::HashSet;

/// Who runs a statement.
#[derive(Clone, Debug)]
pub struct Access {
    /// The name.
    pub user: String,
    /// What that user may do now.
    pub rights: Rights,
}

impl Access {
    /// Of who owns the whole database, such as a shell without a server.
    pub const EVERYTHING: Self = Self {
        user: String::new(),
        rights: Rights::EVERYTHING,
    };

    /// Whether the nodes and edges of a graph may be read.
    pub(crate) fn may_read(&self, graph: GraphId) -> bool {
        self.rights.missing(graph, Actions::SELECT).is_empty()
    }
}

/// The error of somebody who may not do that.
pub fn forbidden(user: &str, what: &str) -> QueryError {
    let message = format!("user {user:?} may not {what}");
    QueryError::runtime(ErrorClass::SecurityError, "Forbidden", "42NFF", message)
        .hint("only administrators may; SHOW USERS tells an administrator who is one")
}

/// What a statement needs.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    administration: Option<Administration>,
    graphs: Vec<(Place, Actions)>,
}

/// What only administrators may do.
#[derive(Debug)]
struct Administration {
    what: &'static str,
    /// Who may do it all the same, as it is about nobody else.
    own: Option<String>,
}

/// The graph that a part of a statement works on.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    /// The one that the session has chosen.
    Session,
    /// One that the statement names.
    Named(GraphChoice),
}

impl Needs {
    /// Those of a statement.
    pub(crate) fn of(body: &Body) -> Self {
        match body {
            Body::Query(query) | Body::Session(_, Some(query)) => Self::of_plan(&query.plan),
            Body::Explain(explained) => Self::of_plan(&explained.query.plan),
            Body::Checkpoint(_) => Self::administration("create or drop checkpoints"),
            Body::Schema(_) => Self::administration("create or drop indexes and constraints"),
            Body::Catalog(_) => Self::administration("create or drop schemas, graphs and graph types"),
            Body::Users(command) => {
                let mut needs = Self::administration("change users, roles and rights");
                if let (UserCommand::SetPassword { name, .. }, Some(administration)) =
                    (command, &mut needs.administration)
                {
                    administration.own = Some(name.text.clone());
                }
                needs
            }
            Body::Session(_, None) | Body::Transaction => Self::default(),
        }
    }

    fn administration(what: &'static str) -> Self {
        Self {
            administration: Some(Administration { what, own: None }),
            graphs: Vec::new(),
        }
    }

    fn of_plan(plan: &Plan) -> Self {
        let mut walk = Walk::default();
        walk.query(&plan.query, &Place::Session);
        // Where a subquery stands decides on its graph. It may stand wherever expressions are computed.
        let mut at = 0;
        while let Some(place) = walk.computed.get(at).cloned() {
            for subquery in &plan.subqueries {
                walk.query(subquery, &place);
            }
            at += 1;
        }
        let anywhere = walk.anywhere;
        let graphs = walk
            .touched
            .into_iter()
            .map(|(place, actions)| (place, actions | anywhere))
            .filter(|(_, actions)| !actions.is_empty());
        Self {
            administration: None,
            graphs: graphs.collect(),
        }
    }

    /// Refuses what who runs the statement may not do.
    pub(crate) fn check<R: ReadTxn>(
        &self,
        text: &str,
        transaction: &Transaction<R>,
        context: &Context<'_>,
    ) -> Result<(), QueryError> {
        let access = context.access;
        if access.rights.is_administrator {
            return Ok(());
        }
        if let Some(Administration { what, own }) = &self.administration
            && own.as_ref() != Some(&access.user)
        {
            return Err(forbidden(&access.user, what));
        }
        for (place, actions) in &self.graphs {
            let (graph, path) = place.find(text, transaction, context)?;
            let missing = access.rights.missing(graph, *actions);
            if !missing.is_empty() {
                return Err(lacks(&access.user, missing, path.as_deref()));
            }
        }
        Ok(())
    }
}

/// The error of somebody who lacks rights on a graph; without a path it is the home graph.
fn lacks(user: &str, missing: Actions, path: Option<&str>) -> QueryError {
    let actions = missing.names().collect::<Vec<_>>().join(", ");
    let graph = path.map_or_else(|| "the home graph".to_owned(), |path| format!("the graph {path}"));
    let grantee = Name {
        text: user.to_owned(),
        span: Span::default(),
    };
    let path = path.unwrap_or("HOME_GRAPH");
    let error = forbidden(user, &format!("{actions} in {graph}"));
    error.hint(format!(
        "an administrator can allow it: GRANT {actions} ON GRAPH {path} TO {grantee}"
    ))
}

impl Place {
    /// Its number, and its path unless it is the home graph.
    fn find<R: ReadTxn>(
        &self,
        text: &str,
        transaction: &Transaction<R>,
        context: &Context<'_>,
    ) -> Result<(GraphId, Option<String>), QueryError> {
        let session = context.session;
        let Self::Named(choice) = self else {
            let graph = session_graph(session, transaction)?;
            return Ok((graph, session.graph().map(str::to_owned)));
        };
        let source = Source::new(text);
        let schema = match &choice.at {
            Some(at) => schema_path(at, session.schema(), source, choice.span)?,
            None => session.schema().to_owned(),
        };
        match graph_path(&choice.graph, &schema, session.graph(), source)? {
            None => Ok((GraphId::HOME, None)),
            Some(path) => {
                let found = transaction.graph_named(&path);
                let position = source.position(choice.span);
                let found = found.map_err(|error| QueryError::from(error).at(position))?;
                Ok((found.id, Some(path)))
            }
        }
    }
}

/// A way through all steps of a plan.
#[derive(Default)]
struct Walk {
    /// What is done where.
    touched: Vec<(Place, Actions)>,
    /// What is done with elements, of whatever graph they are.
    anywhere: Actions,
    /// Where expressions are computed.
    computed: Vec<Place>,
}

impl Walk {
    fn query(&mut self, query: &QueryPlan, start: &Place) {
        for part in &query.parts {
            let mut place = start.clone();
            for step in &part.steps {
                self.step(step, &mut place);
            }
        }
    }

    fn step(&mut self, step: &Step, place: &mut Place) {
        match step {
            Step::Use(choice) => {
                *place = Place::Named(choice.clone());
                return;
            }
            Step::Unit { .. }
            | Step::Argument
            | Step::Table { .. }
            | Step::Distinct(_)
            | Step::Compact { .. }
            | Step::Discard => return,
            Step::Match(_) => self.touch(place, Actions::SELECT),
            Step::Merge(merge) => {
                self.touch(place, Actions::SELECT | Actions::INSERT);
                self.create(&merge.create);
                if !merge.on_create.is_empty() || !merge.on_match.is_empty() {
                    self.anywhere |= Actions::UPDATE;
                }
            }
            Step::Insert(elements) => {
                self.touch(place, Actions::INSERT);
                self.create(elements);
            }
            Step::Set(_) => {
                self.touch(place, Actions::NONE);
                self.anywhere |= Actions::UPDATE;
            }
            Step::Delete { .. } => {
                self.touch(place, Actions::NONE);
                self.anywhere |= Actions::DELETE;
            }
            Step::Apply(apply) => self.query(&apply.query, place),
            Step::Feed { query, .. } => self.query(query, place),
            Step::Filter(_)
            | Step::Extend(_)
            | Step::Unwind { .. }
            | Step::Aggregate { .. }
            | Step::Sort(_)
            | Step::Page { .. }
            | Step::Procedure(_) => {}
        }
        if !self.computed.contains(place) {
            self.computed.push(place.clone());
        }
    }

    fn touch(&mut self, place: &Place, actions: Actions) {
        match self.touched.iter_mut().find(|(touched, _)| touched == place) {
            Some((_, all)) => *all |= actions,
            None => self.touched.push((place.clone(), actions)),
        }
    }

    /// An edge goes to the graph of the nodes that it joins. Those that were there before may be of any.
    fn create(&mut self, elements: &[CreateElement]) {
        let new: HashSet<usize> = elements
            .iter()
            .filter_map(|element| match element {
                CreateElement::Node { slot, .. } => Some(*slot),
                CreateElement::Edge { .. } | CreateElement::Path { .. } => None,
            })
            .collect();
        let joins_older = elements.iter().any(|element| match element {
            CreateElement::Edge { start, end, .. } => !new.contains(start) && !new.contains(end),
            CreateElement::Node { .. } | CreateElement::Path { .. } => false,
        });
        if joins_older {
            self.anywhere |= Actions::INSERT;
        }
    }
}

#[cfg(test)]
#[path = "needs_tests.rs"]
mod tests;
