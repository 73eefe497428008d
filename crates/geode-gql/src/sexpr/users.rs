//! Commands about users, roles and rights as s-expressions. Passwords are not in them.

use super::session::graph;
use crate::ast::{Action, RightsClause, UserCommand};

pub(super) fn command(command: &UserCommand) -> String {
    let missing = |if_not_exists: &bool| if *if_not_exists { " if-not-exists" } else { "" };
    let there = |if_exists: &bool| if *if_exists { " if-exists" } else { "" };
    match command {
        UserCommand::CreateUser {
            name,
            if_not_exists,
            password,
            role,
        } => {
            let role = role
                .as_ref()
                .map_or_else(String::new, |role| format!(" role={}", role.text));
            let keep = missing(if_not_exists);
            format!("(create-user{keep} {} {password:?}{role})", name.text)
        }
        UserCommand::SetPassword { name, password } => format!("(set-password {} {password:?})", name.text),
        UserCommand::SetRole { name, role: None } => format!("(remove-role {})", name.text),
        UserCommand::SetRole {
            name,
            role: Some(role),
        } => format!("(set-role {} {})", name.text, role.text),
        UserCommand::DropUser { name, if_exists } => format!("(drop-user{} {})", there(if_exists), name.text),
        UserCommand::CreateRole { name, if_not_exists } => {
            format!("(create-role{} {})", missing(if_not_exists), name.text)
        }
        UserCommand::DropRole { name, if_exists } => format!("(drop-role{} {})", there(if_exists), name.text),
        UserCommand::Grant(clause) => format!("(grant {})", rights(clause)),
        UserCommand::Revoke(clause) => format!("(revoke {})", rights(clause)),
    }
}

fn rights(clause: &RightsClause) -> String {
    let actions: Vec<&str> = clause.actions.iter().copied().map(Action::name).collect();
    let on = clause.graph.as_ref().map_or_else(|| "*".to_owned(), graph);
    format!("({}) {on} {}", actions.join(" "), clause.grantee.text)
}
