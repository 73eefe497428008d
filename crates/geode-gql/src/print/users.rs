//! Commands about users, roles and rights.

use super::Opt;
use super::expr::quoted;
use super::names::Parameter;
use crate::ast::{Action, Password, RightsClause, UserCommand};
use std::fmt::{self, Display, Formatter};

impl Display for UserCommand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let missing = |if_not_exists: &bool| if *if_not_exists { " IF NOT EXISTS" } else { "" };
        let there = |if_exists: &bool| if *if_exists { " IF EXISTS" } else { "" };
        match self {
            Self::CreateUser {
                name,
                if_not_exists,
                password,
                role,
            } => {
                write!(f, "CREATE USER{} {name}", missing(if_not_exists))?;
                write!(f, " WITH PASSWORD {password}{}", Opt(" ROLE ", role.as_ref()))
            }
            Self::SetPassword { name, password } => write!(f, "ALTER USER {name} SET PASSWORD {password}"),
            Self::SetRole { name, role: None } => write!(f, "ALTER USER {name} REMOVE ROLE"),
            Self::SetRole {
                name,
                role: Some(role),
            } => write!(f, "ALTER USER {name} SET ROLE {role}"),
            Self::DropUser { name, if_exists } => write!(f, "DROP USER{} {name}", there(if_exists)),
            Self::CreateRole { name, if_not_exists } => {
                write!(f, "CREATE ROLE{} {name}", missing(if_not_exists))
            }
            Self::DropRole { name, if_exists } => write!(f, "DROP ROLE{} {name}", there(if_exists)),
            Self::Grant(rights) => write!(f, "GRANT {} TO {}", Rights(rights), rights.grantee),
            Self::Revoke(rights) => write!(f, "REVOKE {} FROM {}", Rights(rights), rights.grantee),
        }
    }
}

/// `actions ON GRAPH graph`.
struct Rights<'a>(&'a RightsClause);

impl Display for Rights<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let actions: Vec<&str> = self.0.actions.iter().copied().map(Action::name).collect();
        write!(f, "{} ON GRAPH ", actions.join(", "))?;
        match &self.0.graph {
            Some(graph) => write!(f, "{graph}"),
            None => f.write_str("*"),
        }
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Display for Password {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Param(name) => write!(f, "{}", Parameter(&name.text)),
        }
    }
}
