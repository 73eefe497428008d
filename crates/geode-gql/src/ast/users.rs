//! Users, their roles, and what they may do with graphs.

use super::{GraphRef, Name};
use std::fmt;

/// Changes users, roles and rights.
#[derive(Clone, Debug, PartialEq)]
pub enum UserCommand {
    /// `CREATE USER [IF NOT EXISTS] name WITH PASSWORD password [ROLE role]`.
    CreateUser {
        /// Its name.
        name: Name,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// What it logs in with.
        password: Password,
        /// The role it has; without one it may do what is granted to itself.
        role: Option<Name>,
    },
    /// `ALTER USER name SET PASSWORD password`.
    SetPassword {
        /// Whose.
        name: Name,
        /// The new one.
        password: Password,
    },
    /// `ALTER USER name SET ROLE role`, or `REMOVE ROLE`.
    SetRole {
        /// Whose.
        name: Name,
        /// The new one.
        role: Option<Name>,
    },
    /// `DROP USER [IF EXISTS] name`.
    DropUser {
        /// Which.
        name: Name,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `CREATE ROLE [IF NOT EXISTS] name`.
    CreateRole {
        /// Its name.
        name: Name,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
    },
    /// `DROP ROLE [IF EXISTS] name`.
    DropRole {
        /// Which.
        name: Name,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `GRANT actions ON GRAPH graph TO name`.
    Grant(RightsClause),
    /// `REVOKE actions ON GRAPH graph FROM name`.
    Revoke(RightsClause),
}

/// Rights, and who has them.
#[derive(Clone, Debug, PartialEq)]
pub struct RightsClause {
    /// What may be done.
    pub actions: Vec<Action>,
    /// With which graph; `None` is `*`, all that there are and will be.
    pub graph: Option<GraphRef>,
    /// The user or the role.
    pub grantee: Name,
}

/// What can be done with a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Its nodes and edges are read.
    Select,
    /// Nodes and edges are created.
    Insert,
    /// Properties and labels are changed.
    Update,
    /// Nodes and edges are deleted.
    Delete,
}

impl Action {
    /// All, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Select, Self::Insert, Self::Update, Self::Delete];

    /// How it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// A password as a statement has it.
#[derive(Clone, PartialEq)]
pub enum Password {
    /// In the text.
    Text(String),
    /// In a parameter.
    Param(Name),
}

/// What is printed for debugging ends up in logs, where no password may be.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("***"),
            Self::Param(name) => write!(f, "${}", name.text),
        }
    }
}

impl UserCommand {
    /// Whether a password stands in it.
    pub fn has_password(&self) -> bool {
        matches!(
            self,
            Self::CreateUser {
                password: Password::Text(_),
                ..
            } | Self::SetPassword {
                password: Password::Text(_),
                ..
            }
        )
    }

    /// The same command with stars for a password that stands in it: what others may see of it.
    pub fn redacted(&self) -> Self {
        let mut shown = self.clone();
        if let Self::CreateUser { password, .. } | Self::SetPassword { password, .. } = &mut shown
            && matches!(password, Password::Text(_))
        {
            *password = Password::Text("***".to_owned());
        }
        shown
    }
}
