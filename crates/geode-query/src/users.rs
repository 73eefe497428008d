//! Users, roles and rights as statements see them: changing them, and the tables that list them. Nobody can be locked out: the last
//! administrator stays one.

use crate::catalog::graph_path;
use crate::exec::{Context, Graph, Params, missing_parameter};
use crate::needs::Access;
use geode_gql::Source;
use geode_gql::ast::{Action, GraphRef, Name, Password, RightsClause, UserCommand};
use geode_graph::{
    ADMIN_ROLE, Actions, BUILT_IN_ROLES, Grant, GraphId, Object, ObjectKind, Rights, RoleRecord, Transaction,
    UserRecord, built_in_actions, is_built_in, shown_role, stored_role,
};
use geode_store::ReadTxn;
use geode_types::{ErrorClass, QueryError, Value, nearest};
use std::collections::BTreeMap;

/// Longer ones are refused, as at the login.
const MAX_PASSWORD_BYTES: usize = 1024;
/// How rights on every graph are written.
const EVERY_GRAPH: &str = "*";
const HOME_GRAPH: &str = "HOME_GRAPH";

/// Carries a command out.
pub(crate) fn carry_out<R: ReadTxn>(
    command: &UserCommand,
    text: &str,
    transaction: &mut Transaction<R>,
    params: &Params,
    context: &Context<'_>,
) -> Result<(), QueryError> {
    let mut change = Change {
        transaction,
        params,
        context,
        source: Source::new(text),
    };
    match command {
        UserCommand::CreateUser {
            name,
            if_not_exists,
            password,
            role,
        } => change.create_user(&name.text, *if_not_exists, password, role.as_ref()),
        UserCommand::SetPassword { name, password } => {
            let mut user = change.user(&name.text)?;
            user.hash = change.hash(password)?;
            Ok(change.transaction.put_user(user)?)
        }
        UserCommand::SetRole { name, role } => change.set_role(&name.text, role.as_ref()),
        UserCommand::DropUser { name, if_exists } => change.drop_user(&name.text, *if_exists),
        UserCommand::CreateRole { name, if_not_exists } => change.create_role(&name.text, *if_not_exists),
        UserCommand::DropRole { name, if_exists } => change.drop_role(&name.text, *if_exists),
        UserCommand::Grant(clause) => change.grant(clause),
        UserCommand::Revoke(clause) => change.revoke(clause),
    }
}

struct Change<'a, R> {
    transaction: &'a mut Transaction<R>,
    params: &'a Params,
    context: &'a Context<'a>,
    source: Source<'a>,
}

impl<R: ReadTxn> Change<'_, R> {
    fn create_user(
        &mut self,
        name: &str,
        if_not_exists: bool,
        password: &Password,
        role: Option<&Name>,
    ) -> Result<(), QueryError> {
        check_name(name)?;
        if self.find_user(name)?.is_some() {
            return if if_not_exists {
                Ok(())
            } else {
                Err(taken("user", name))
            };
        }
        // A user may be called `admin`: that is how the role is stored, and nobody writes it.
        if BUILT_IN_ROLES.contains(&name) || self.transaction.role(name)?.is_some() {
            return Err(taken("role", name));
        }
        let role = self.role_of(role)?;
        let hash = self.hash(password)?;
        let name = name.to_owned();
        Ok(self.transaction.put_user(UserRecord { name, hash, role })?)
    }

    fn set_role(&mut self, name: &str, role: Option<&Name>) -> Result<(), QueryError> {
        let mut user = self.user(name)?;
        let role = self.role_of(role)?;
        if role != ADMIN_ROLE {
            self.keep_an_administrator(&user)?;
        }
        user.role = role;
        Ok(self.transaction.put_user(user)?)
    }

    fn drop_user(&mut self, name: &str, if_exists: bool) -> Result<(), QueryError> {
        let Some(user) = self.find_user(name)? else {
            return if if_exists {
                Ok(())
            } else {
                Err(self.no_user(name)?)
            };
        };
        self.keep_an_administrator(&user)?;
        // What it may do by itself goes with it: the next user of the name begins without.
        self.transaction.drop_role(name)?;
        self.transaction.drop_user(name)?;
        Ok(())
    }

    fn create_role(&mut self, name: &str, if_not_exists: bool) -> Result<(), QueryError> {
        check_name(name)?;
        if self.find_user(name)?.is_some() {
            return Err(taken("user", name));
        }
        if is_built_in(name) || self.transaction.role(name)?.is_some() {
            return if if_not_exists {
                Ok(())
            } else {
                Err(taken("role", name))
            };
        }
        Ok(self.transaction.put_role(RoleRecord::new(name.to_owned()))?)
    }

    fn drop_role(&mut self, name: &str, if_exists: bool) -> Result<(), QueryError> {
        if is_built_in(name) {
            return Err(always_there(name));
        }
        if self.find_user(name)?.is_some() || self.transaction.role(name)?.is_none() {
            return if if_exists {
                Ok(())
            } else {
                Err(self.no_role(name)?)
            };
        }
        let users = self.transaction.users()?.into_iter();
        let holders: Vec<String> = users
            .filter(|user| user.role == name)
            .map(|user| user.name)
            .collect();
        if !holders.is_empty() {
            let message = format!("the role {name} is held by {}", holders.join(", "));
            let error = QueryError::runtime(
                ErrorClass::ConstraintValidationFailed,
                "RoleInUse",
                "42N07",
                message,
            );
            return Err(error.hint("give them another role first: ALTER USER … SET ROLE, or REMOVE ROLE"));
        }
        self.transaction.drop_role(name)?;
        Ok(())
    }

    fn grant(&mut self, clause: &RightsClause) -> Result<(), QueryError> {
        let graph = self.granted_graph(clause.graph.as_ref())?;
        let (_, mut role) = self.grantee(&clause.grantee.text)?;
        role.grant(graph, actions(&clause.actions));
        Ok(self.transaction.put_role(role)?)
    }

    /// Who had a right from elsewhere would have it still, so that is refused and nothing is changed.
    fn revoke(&mut self, clause: &RightsClause) -> Result<(), QueryError> {
        let graph = self.granted_graph(clause.graph.as_ref())?;
        let revoked = actions(&clause.actions);
        let (user, mut role) = self.grantee(&clause.grantee.text)?;
        role.revoke(graph, revoked);
        let mut grants = role.grants.clone();
        if let Some(user) = &user {
            grants.extend(self.grants_of_role(&user.role)?);
        }
        let left = left(grants, graph, revoked);
        if !left.is_empty() {
            return Err(still_has(&role.name, left, user.as_ref()));
        }
        if user.is_some() && role.grants.is_empty() {
            self.transaction.drop_role(&role.name)?;
            return Ok(());
        }
        Ok(self.transaction.put_role(role)?)
    }

    /// The user, if it is one, and the record of what it may do by itself, without graphs that are gone.
    fn grantee(&self, name: &str) -> Result<(Option<UserRecord>, RoleRecord), QueryError> {
        let user = self.find_user(name)?;
        if user.is_none() && is_built_in(name) {
            return Err(always_there(name));
        }
        let mut role = match self.transaction.role(name)? {
            Some(role) => role,
            None if user.is_some() => RoleRecord::new(name.to_owned()),
            None => return Err(self.no_role(name)?),
        };
        let graphs = numbers(self.transaction.objects(ObjectKind::Graph)?);
        let is_there = |graph: GraphId| graph.is_home() || graphs.contains_key(&graph);
        role.grants.retain(|grant| grant.graph.is_none_or(is_there));
        Ok((user, role))
    }

    fn grants_of_role(&self, role: &str) -> Result<Vec<Grant>, QueryError> {
        if let Some(actions) = built_in_actions(role) {
            return Ok(vec![Grant { graph: None, actions }]);
        }
        Ok(self
            .transaction
            .role(role)?
            .map_or_else(Vec::new, |role| role.grants))
    }

    fn granted_graph(&self, graph: Option<&GraphRef>) -> Result<Option<GraphId>, QueryError> {
        let Some(graph) = graph else { return Ok(None) };
        let session = self.context.session;
        match graph_path(graph, session.schema(), session.graph(), self.source)? {
            None => Ok(Some(GraphId::HOME)),
            Some(path) => Ok(Some(self.transaction.graph_named(&path)?.id)),
        }
    }

    /// The name of a role that there is, as it is stored.
    fn role_of(&self, role: Option<&Name>) -> Result<String, QueryError> {
        let Some(role) = role else {
            return Ok(String::new());
        };
        let stored = stored_role(&role.text);
        let is_there = is_built_in(stored)
            || (self.transaction.role(stored)?.is_some() && self.find_user(stored)?.is_none());
        if is_there {
            Ok(stored.to_owned())
        } else {
            Err(self.no_role(&role.text)?)
        }
    }

    fn hash(&self, password: &Password) -> Result<String, QueryError> {
        let text = match password {
            Password::Text(text) => text,
            Password::Param(name) => {
                let (own, session) = (self.params, self.context.session.params());
                match own.get(&name.text).or_else(|| session.get(&name.text)) {
                    Some(Value::String(text)) => text,
                    Some(_) => return Err(invalid("InvalidPassword", "a password is a text".to_owned())),
                    None => return Err(missing_parameter(&name.text, self.params)),
                }
            }
        };
        if text.is_empty() || text.len() > MAX_PASSWORD_BYTES {
            let message = format!("a password has 1 to {MAX_PASSWORD_BYTES} bytes");
            return Err(invalid("InvalidPassword", message));
        }
        (self.context.hash_password)(text)
    }

    fn find_user(&self, name: &str) -> Result<Option<UserRecord>, QueryError> {
        Ok(self.transaction.user(name)?.filter(UserRecord::is_person))
    }

    fn user(&self, name: &str) -> Result<UserRecord, QueryError> {
        match self.find_user(name)? {
            Some(user) => Ok(user),
            None => Err(self.no_user(name)?),
        }
    }

    /// Refuses to take away a user who is the only administrator.
    fn keep_an_administrator(&self, user: &UserRecord) -> Result<(), QueryError> {
        if user.role != ADMIN_ROLE {
            return Ok(());
        }
        let users = self.transaction.users()?;
        let is_another = |other: &UserRecord| other.role == ADMIN_ROLE && other.name != user.name;
        if users.iter().any(|other| other.is_person() && is_another(other)) {
            return Ok(());
        }
        let message = format!("{} is the last administrator", user.name);
        Err(
            QueryError::runtime(ErrorClass::SemanticError, "LastAdministrator", "42N0A", message)
                .hint("make another user one first: ALTER USER … SET ROLE administrator"),
        )
    }

    fn no_user(&self, name: &str) -> Result<QueryError, QueryError> {
        let users = self.transaction.users()?;
        let names = users.iter().filter(|user| user.is_person());
        let near = nearest(name, names.map(|user| user.name.as_str()));
        Ok(not_there(
            "user",
            "UserNotFound",
            name,
            near,
            "SHOW USERS lists them",
        ))
    }

    fn no_role(&self, name: &str) -> Result<QueryError, QueryError> {
        let roles = self.transaction.roles()?;
        let stored = roles.iter().map(|role| role.name.as_str());
        let near = nearest(name, stored.chain(BUILT_IN_ROLES));
        Ok(not_there(
            "role",
            "RoleNotFound",
            name,
            near,
            "SHOW ROLES lists them",
        ))
    }
}

/// What of the actions somebody with these grants may still do with a graph, or with any graph.
fn left(grants: Vec<Grant>, graph: Option<GraphId>, wanted: Actions) -> Actions {
    let missing = match graph {
        Some(graph) => {
            let rights = Rights {
                is_administrator: false,
                grants,
            };
            rights.missing(graph, wanted)
        }
        None => grants
            .iter()
            .fold(wanted, |missing, grant| missing.without(grant.actions)),
    };
    wanted.without(missing)
}

fn actions(written: &[Action]) -> Actions {
    written.iter().fold(Actions::NONE, |all, action| {
        all | match action {
            Action::Select => Actions::SELECT,
            Action::Insert => Actions::INSERT,
            Action::Update => Actions::UPDATE,
            Action::Delete => Actions::DELETE,
        }
    })
}

fn check_name(name: &str) -> Result<(), QueryError> {
    if name.chars().any(char::is_control) || name.trim() != name {
        let message = format!("{name:?} cannot be the name of a user or a role");
        return Err(QueryError::runtime(
            ErrorClass::ArgumentError,
            "InvalidName",
            "42002",
            message,
        ));
    }
    Ok(())
}

fn invalid(detail: &str, message: String) -> QueryError {
    crate::error::argument(detail, message)
}

fn taken(kind: &str, name: &str) -> QueryError {
    let message = format!("there is a {kind} {name} already");
    QueryError::runtime(
        ErrorClass::ConstraintValidationFailed,
        "NameTaken",
        "42N06",
        message,
    )
    .hint("users and roles share their names; SHOW USERS and SHOW ROLES list them, ALTER USER changes a user")
}

fn not_there(kind: &str, detail: &str, name: &str, near: Option<&str>, list: &str) -> QueryError {
    let message = format!("there is no {kind} {name}");
    let error = QueryError::runtime(ErrorClass::EntityNotFound, detail, "42002", message);
    match near.filter(|_| name.len() <= 64) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(list),
    }
}

fn always_there(name: &str) -> QueryError {
    let message = format!("the role {} is always there as it is", shown_role(name));
    QueryError::runtime(ErrorClass::SemanticError, "BuiltInRole", "42N08", message)
        .hint("CREATE ROLE makes one that can be changed")
}

fn still_has(name: &str, left: Actions, user: Option<&UserRecord>) -> QueryError {
    let actions = left.names().collect::<Vec<_>>().join(", ");
    let message = format!("{name} would still have {actions}, so nothing is revoked");
    let error = QueryError::runtime(ErrorClass::SemanticError, "RightRemains", "42N0B", message);
    let hint = "a right on every graph is revoked from every graph: REVOKE … ON GRAPH *";
    match user.filter(|user| !user.role.is_empty()) {
        Some(user) => error.hint(format!(
            "SHOW GRANTS says from where: its role is {}; {hint}",
            shown_role(&user.role)
        )),
        None => error.hint(hint),
    }
}

/// Graphs' paths by their numbers.
fn numbers(objects: BTreeMap<String, Object>) -> BTreeMap<GraphId, String> {
    let graphs = objects.into_iter().filter_map(|(path, object)| match object {
        Object::Graph(graph) => Some((graph.id, path)),
        _ => None,
    });
    graphs.collect()
}

/// `system.users`: who is not an administrator sees itself. Hashes are nobody's affair.
pub(crate) fn user_rows(graph: &dyn Graph, access: &Access) -> Result<Vec<Vec<Value>>, QueryError> {
    let users = graph.users()?.into_iter();
    let visible = users.filter(|user| sees(access, &user.name));
    let role = |role: &str| match role {
        "" => Value::Null,
        role => shown_role(role).into(),
    };
    Ok(visible
        .map(|user| vec![Value::from(user.name.as_str()), role(&user.role)])
        .collect())
}

/// `system.roles`.
pub(crate) fn role_rows(graph: &dyn Graph) -> Result<Vec<Vec<Value>>, QueryError> {
    let users = graph.users()?;
    let is_user = |name: &str| users.iter().any(|user| user.name == name);
    let mut rows: Vec<Vec<Value>> = BUILT_IN_ROLES
        .iter()
        .map(|name| vec![Value::from(*name), Value::from(true)])
        .collect();
    let own = graph.roles()?.into_iter().filter(|role| !is_user(&role.name));
    rows.extend(own.map(|role| vec![Value::from(role.name), Value::from(false)]));
    Ok(rows)
}

/// `system.grants`, a row for each action: who is not an administrator sees what is granted to itself and to its role.
pub(crate) fn grant_rows(graph: &dyn Graph, access: &Access) -> Result<Vec<Vec<Value>>, QueryError> {
    let users = graph.users()?;
    let paths = numbers(graph.objects(ObjectKind::Graph)?);
    let own_role = users
        .iter()
        .find(|user| user.name == access.user)
        .map(|user| shown_role(&user.role).to_owned());
    let built_in = BUILT_IN_ROLES.iter().filter_map(|name| {
        let mut role = RoleRecord::new((*name).to_owned());
        role.grant(None, built_in_actions(name)?);
        Some(role)
    });
    let mut rows = Vec::new();
    for role in built_in.chain(graph.roles()?) {
        if !sees(access, &role.name) && own_role.as_ref() != Some(&role.name) {
            continue;
        }
        let is_user = users.iter().any(|user| user.name == role.name);
        for grant in role.grants {
            let on = match grant.graph {
                None => EVERY_GRAPH,
                Some(GraphId::HOME) => HOME_GRAPH,
                Some(number) => match paths.get(&number) {
                    Some(path) => path.as_str(),
                    // The graph is gone, and its number never comes back.
                    None => continue,
                },
            };
            rows.extend(grant.actions.names().map(|action| {
                let kind = if is_user { "user" } else { "role" };
                let row = [role.name.as_str(), kind, on, action];
                row.map(Value::from).to_vec()
            }));
        }
    }
    Ok(rows)
}

fn sees(access: &Access, name: &str) -> bool {
    access.rights.is_administrator || access.user == name
}
