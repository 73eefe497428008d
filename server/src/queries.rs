//! The statements that run on this member now: `system.queries` lists them, `KILL QUERY 'id'` stops one.
//!
//! An id begins with a mark of this process, so that an id of another member, or of one that ended, stops nothing here.

use geode_query::{Access, Cancel, Meter, Signature, SystemTables};
use geode_types::{ErrorClass, QueryError, Temporal, Value, temporal};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

const TABLE: &str = "system.queries";
const COLUMNS: [&str; 7] = [
    "id",
    "query",
    "user",
    "state",
    "duration",
    "memory_bytes",
    "graph",
];
/// Longer texts are cut.
const TEXT_CHARS: usize = 1000;

/// The statements that run.
#[derive(Debug)]
pub(crate) struct Queries {
    mark: u16,
    next: AtomicU64,
    running: Mutex<BTreeMap<u64, Arc<Running>>>,
}

/// A statement that runs.
#[derive(Debug)]
struct Running {
    text: String,
    user: String,
    graph: Option<String>,
    began: Instant,
    /// It has a thread.
    started: AtomicBool,
    cancel: Cancel,
    meter: Meter,
    killed: Notify,
}

/// Registers a statement while it lives. Whoever drops it stops the statement.
pub(crate) struct Registered {
    queries: Arc<Queries>,
    number: u64,
    running: Arc<Running>,
}

impl Queries {
    pub(crate) fn new() -> Self {
        Self {
            mark: rand::random(),
            next: AtomicU64::new(1),
            running: Mutex::default(),
        }
    }

    pub(crate) fn begin(self: &Arc<Self>, text: &str, user: &str, graph: Option<&str>) -> Registered {
        let running = Arc::new(Running {
            text: text.chars().take(TEXT_CHARS).collect(),
            user: user.to_owned(),
            graph: graph.map(str::to_owned),
            began: Instant::now(),
            started: AtomicBool::new(false),
            cancel: Cancel::default(),
            meter: Meter::default(),
            killed: Notify::new(),
        });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.all().insert(number, running.clone());
        Registered {
            queries: self.clone(),
            number,
            running,
        }
    }

    fn all(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self, number: u64) -> String {
        format!("{:04x}-{number}", self.mark)
    }

    /// Stops a statement. Administrators stop every one, others their own; one that may not be stopped is not to be seen either.
    pub(crate) fn kill(&self, id: &str, by: &Access) -> Result<(), QueryError> {
        let (mark, number) = id.split_once('-').unwrap_or_default();
        let number = number
            .parse()
            .ok()
            .filter(|_| mark == format!("{:04x}", self.mark));
        let found = number.and_then(|number: u64| self.all().get(&number).cloned());
        match found.filter(|running| may_see(by, running)) {
            Some(running) => {
                running.cancel.kill();
                running.killed.notify_waiters();
                running.killed.notify_one();
                Ok(())
            }
            None => Err(QueryError::runtime(
                ErrorClass::EntityNotFound,
                "QueryNotFound",
                "5GQ01",
                format!("no query {id:?} runs on this member"),
            )
            .hint("SELECT id, query FROM system.queries lists those that run here; each member has its own")),
        }
    }

    fn rows(&self, who: &Access) -> Vec<Vec<Value>> {
        let running: Vec<_> = self
            .all()
            .iter()
            .map(|(number, running)| (*number, running.clone()))
            .collect();
        let visible = running.into_iter().filter(|(_, running)| may_see(who, running));
        visible
            .map(|(number, running)| running.row(self.id(number)))
            .collect()
    }
}

fn may_see(who: &Access, running: &Running) -> bool {
    who.rights.is_administrator || who.user == running.user
}

impl Running {
    /// In the order of [`COLUMNS`].
    fn row(&self, id: String) -> Vec<Value> {
        let number = |number: usize| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let state = match (self.cancel.is_cancelled(), self.started.load(Ordering::Relaxed)) {
            (true, _) => "stopping",
            (false, true) => "running",
            (false, false) => "waiting",
        };
        vec![
            id.into(),
            self.text.as_str().into(),
            self.user.as_str().into(),
            state.into(),
            duration(self.began.elapsed()),
            number(self.meter.bytes()),
            self.graph.as_deref().map_or(Value::Null, Value::from),
        ]
    }
}

/// A time as a value; those that are too long for one do not occur.
fn duration(time: std::time::Duration) -> Value {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let value = temporal::Duration::new(0, 0, seconds, i64::from(time.subsec_nanos()));
    value.map_or(Value::Null, |value| Temporal::from(value).into())
}

impl Registered {
    pub(crate) fn cancel(&self) -> Cancel {
        self.running.cancel.clone()
    }

    pub(crate) fn meter(&self) -> Meter {
        self.running.meter.clone()
    }

    /// It has a thread now.
    pub(crate) fn started(&self) {
        self.running.started.store(true, Ordering::Relaxed);
    }

    /// Ends when somebody kills it.
    pub(crate) async fn killed(&self) {
        self.running.killed.notified().await;
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.running.cancel.cancel();
        self.queries.all().remove(&self.number);
    }
}

/// The tables of the member, and the statements that a user may see.
pub(crate) struct WithQueries<'a> {
    pub(crate) tables: &'a dyn SystemTables,
    pub(crate) queries: &'a Queries,
    pub(crate) access: &'a Access,
}

impl SystemTables for WithQueries<'_> {
    fn names(&self) -> Vec<String> {
        let mut names = self.tables.names();
        names.push(TABLE.to_owned());
        names
    }

    fn columns(&self, name: &str) -> Option<Vec<String>> {
        if name.eq_ignore_ascii_case(TABLE) {
            return Some(COLUMNS.map(str::to_owned).to_vec());
        }
        self.tables.columns(name)
    }

    fn rows(&self, name: &str) -> Vec<Vec<Value>> {
        if name.eq_ignore_ascii_case(TABLE) {
            return self.queries.rows(self.access);
        }
        self.tables.rows(name)
    }

    fn procedure(&self, name: &str) -> Option<Signature> {
        self.tables.procedure(name)
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Vec<Vec<Value>>, QueryError> {
        self.tables.call(name, arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_graph::Rights;
    use geode_query::NoSystemTables;

    fn user(name: &str, is_administrator: bool) -> Access {
        Access {
            user: name.to_owned(),
            rights: Rights {
                is_administrator,
                grants: Vec::new(),
            },
        }
    }

    #[test]
    fn who_may_see_a_statement_may_stop_it() {
        let queries = Arc::new(Queries::new());
        let (ada, bob, admin) = (user("ada", false), user("bob", false), user("root", true));
        let registered = queries.begin("RETURN 1", "ada", Some("/g"));
        let rows = |access| {
            let tables = WithQueries {
                tables: &NoSystemTables,
                queries: &queries,
                access,
            };
            tables.rows("system.QUERIES")
        };
        assert_eq!(
            (rows(&ada).len(), rows(&bob).len(), rows(&admin).len()),
            (1, 0, 1)
        );
        let row = rows(&ada).remove(0);
        assert_eq!(row.len(), COLUMNS.len());
        let Value::String(id) = row[0].clone() else {
            panic!("{row:?}")
        };
        assert_eq!(row[1..4], ["RETURN 1".into(), "ada".into(), "waiting".into()]);
        assert_eq!(queries.kill(&id, &bob).unwrap_err().detail, "QueryNotFound");
        assert!(!registered.cancel().is_cancelled());
        queries.kill(&id, &ada).unwrap();
        assert!(registered.cancel().is_cancelled());
        drop(registered);
        assert!(rows(&admin).is_empty());
        assert!(queries.kill(&id, &admin).is_err());
        assert!(queries.kill("", &admin).is_err());
    }
}
