//! `CREATE`, `ALTER` and `DROP USER`, `CREATE` and `DROP ROLE`, `GRANT`, `REVOKE`. ISO/IEC 39075 leaves all of it to implementations
//! (4.2.2): the forms are those of SQL.

use super::{Parsed, Parser};
use crate::ast::{Action, Password, RightsClause, UserCommand};
use crate::literal;
use crate::token::{Sym, TokenKind};

const USER_NAME: &str = "the name of a user";
const ROLE_NAME: &str = "the name of a role";

impl Parser<'_> {
    /// Whether a command about users begins here.
    pub(super) fn at_user_command(&self) -> bool {
        if self.at_keyword("GRANT") || self.at_keyword("REVOKE") {
            return true;
        }
        let verb = ["CREATE", "ALTER", "DROP"]
            .iter()
            .any(|word| self.at_keyword(word));
        let role = self.keyword_at(1, "ROLE") && !self.at_keyword("ALTER");
        // `CREATE user = (a)-->(b)` names a path.
        verb && (role || self.keyword_at(1, "USER")) && !self.symbol_at(2, Sym::Equal)
    }

    pub(super) fn user_command(&mut self) -> Parsed<UserCommand> {
        let start = self.span();
        let command = if self.eat_keyword("GRANT") {
            UserCommand::Grant(self.rights("TO")?)
        } else if self.eat_keyword("REVOKE") {
            UserCommand::Revoke(self.rights("FROM")?)
        } else if self.eat_keyword("ALTER") {
            self.alter_user()?
        } else if self.eat_keyword("DROP") {
            self.drop_user_or_role()?
        } else {
            self.expect_keyword("CREATE")?;
            self.create_user_or_role()?
        };
        self.extension(start, "users, roles and rights", "");
        Ok(command)
    }

    fn create_user_or_role(&mut self) -> Parsed<UserCommand> {
        if self.eat_keyword("ROLE") {
            let if_not_exists = self.if_not_exists()?;
            let name = self.any_name(ROLE_NAME)?;
            return Ok(UserCommand::CreateRole { name, if_not_exists });
        }
        self.expect_keyword("USER")?;
        let if_not_exists = self.if_not_exists()?;
        let name = self.any_name(USER_NAME)?;
        self.expect_keyword("WITH")?;
        self.expect_keyword("PASSWORD")?;
        let password = self.password()?;
        let role = if self.eat_keyword("ROLE") {
            Some(self.any_name(ROLE_NAME)?)
        } else {
            None
        };
        Ok(UserCommand::CreateUser {
            name,
            if_not_exists,
            password,
            role,
        })
    }

    fn alter_user(&mut self) -> Parsed<UserCommand> {
        self.expect_keyword("USER")?;
        let name = self.any_name(USER_NAME)?;
        if self.eat_keyword("REMOVE") {
            self.expect_keyword("ROLE")?;
            return Ok(UserCommand::SetRole { name, role: None });
        }
        self.expect_keyword("SET")?;
        if self.eat_keyword("ROLE") {
            let role = Some(self.any_name(ROLE_NAME)?);
            return Ok(UserCommand::SetRole { name, role });
        }
        self.expect_keyword("PASSWORD")?;
        let password = self.password()?;
        Ok(UserCommand::SetPassword { name, password })
    }

    fn drop_user_or_role(&mut self) -> Parsed<UserCommand> {
        let is_role = self.eat_keyword("ROLE");
        if !is_role {
            self.expect_keyword("USER")?;
        }
        let if_exists = self.eat_keywords("IF", "EXISTS");
        let name = self.any_name(if is_role { ROLE_NAME } else { USER_NAME })?;
        Ok(if is_role {
            UserCommand::DropRole { name, if_exists }
        } else {
            UserCommand::DropUser { name, if_exists }
        })
    }

    /// `actions ON GRAPH graph`, then the word in front of who has them.
    fn rights(&mut self, before: &'static str) -> Parsed<RightsClause> {
        let actions = if self.eat_keyword("ALL") {
            self.eat_keyword("PRIVILEGES");
            Action::ALL.to_vec()
        } else {
            self.comma_list(Self::action)?
        };
        self.expect_keyword("ON")?;
        if !self.graph_keyword() {
            return Err(self.unexpected());
        }
        let graph = if self.eat_symbol(Sym::Star) {
            None
        } else {
            Some(self.graph_reference()?)
        };
        self.expect_keyword(before)?;
        Ok(RightsClause {
            actions,
            graph,
            grantee: self.any_name("the name of a user or a role")?,
        })
    }

    fn action(&mut self) -> Parsed<Action> {
        let found = Action::ALL
            .into_iter()
            .find(|action| self.eat_keyword(action.name()));
        found.ok_or_else(|| self.unexpected())
    }

    fn password(&mut self) -> Parsed<Password> {
        let span = self.span();
        match self.token().kind {
            TokenKind::Text => {
                self.advance();
                literal::text(self.source, span).map(Password::Text)
            }
            TokenKind::Param => self.parameter().map(Password::Param),
            _ => self.missing("a password in quotes, or a parameter"),
        }
    }
}
