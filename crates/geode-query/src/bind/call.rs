//! CALL, and composite queries between NEXT.

use super::env::Env;
use super::{Binder, Bound};
use crate::plan::logical::{Apply, Procedure, QueryPlan, Step};
use crate::system::ParameterType;
use crate::types::{Type, TypeSet};
use geode_gql::ast::{
    self, Clause, ClauseKind, ExprKind, LinearQuery, Mentions, Name, ProcedureCall, Query, Yield,
};
use geode_gql::{Dialect, Span};
use geode_types::{ErrorClass, QueryError};

/// Columns and what is known of their types.
type Columns = Vec<(String, Type)>;

impl Binder<'_> {
    /// `CALL { … }`: the query is run for each row, and its columns are added.
    pub(super) fn call_query(
        &mut self,
        optional: bool,
        variables: Option<&[Name]>,
        query: &Query,
        span: Span,
    ) -> Bound<()> {
        let scope = std::mem::take(&mut self.scope);
        let mut env = Env::plain(&scope, "CALL");
        let names = match variables {
            Some(variables) => {
                let missing = variables.iter().find(|name| !env.knows(&name.text));
                if let Some(name) = missing {
                    return Err(self.undefined_variable(&name.text, name.span, &scope));
                }
                variables.iter().map(|name| name.text.clone()).collect()
            }
            None if self.dialect == Dialect::Cypher => imported(query, &env),
            None => {
                let mut mentions = Mentions::default();
                mentions.query(query);
                env.names(&mentions)
            }
        };
        let (imports, (query, columns)) = self.inner(&names, false, span, &mut env, |binder| {
            binder.typed_composite(query)
        })?;
        self.scope = scope;
        let outputs = columns.map(|columns| self.outputs(columns, span)).transpose()?;
        self.step(Step::Apply(Box::new(Apply {
            query,
            imports,
            outputs,
            optional,
        })));
        Ok(())
    }

    /// FOREACH: a query that returns nothing, for each row. What it defines is known only within.
    pub(super) fn foreach(
        &mut self,
        variable: &Name,
        list: &ast::Expr,
        clauses: &[Clause],
        span: Span,
    ) -> Bound<()> {
        let mut mentions = Mentions::default();
        mentions.expr(list);
        for clause in clauses {
            mentions.clause(&clause.kind);
        }
        let scope = std::mem::take(&mut self.scope);
        let mut env = Env::plain(&scope, "FOREACH");
        let names = env.names(&mentions);
        let bound = self.inner(&names, false, span, &mut env, |binder| {
            binder.begin();
            binder.for_clause(variable, list, None)?;
            for clause in clauses {
                binder.clause(clause, false)?;
            }
            binder.step(Step::Discard);
            Ok(QueryPlan {
                parts: vec![std::mem::take(&mut binder.plan)],
                operation: None,
            })
        });
        self.scope = scope;
        let (imports, query) = bound?;
        self.step(Step::Apply(Box::new(Apply {
            query,
            imports,
            outputs: None,
            optional: false,
        })));
        Ok(())
    }

    fn outputs(&mut self, columns: Columns, span: Span) -> Bound<Vec<usize>> {
        let mut slots = Vec::with_capacity(columns.len());
        for (text, ty) in columns {
            slots.push(self.new_variable(&Name { text, span }, ty)?);
        }
        Ok(slots)
    }

    fn new_variable(&mut self, name: &Name, ty: Type) -> Bound<usize> {
        if self.scope.get(&name.text).is_some() {
            return Err(self.already_bound(name));
        }
        let slot = self.new_slot();
        self.scope.define(&name.text, slot, ty);
        Ok(slot)
    }

    fn typed_composite(&mut self, query: &Query) -> Bound<(QueryPlan, Option<Columns>)> {
        let (plan, columns) = self.composite(query)?;
        // Of several parts, the scope is only the last one's.
        let only = plan.parts.len() == 1;
        let typed = columns.map(|columns| {
            let ty = |name: &String| {
                self.scope
                    .get(name)
                    .filter(|_| only)
                    .map(|known| known.ty.clone())
            };
            columns
                .into_iter()
                .map(|name| {
                    let ty = ty(&name).unwrap_or(Type::Any);
                    (name, ty)
                })
                .collect()
        });
        Ok((plan, typed))
    }

    /// A composite query whose working table is all that the clause before gave. Behind NEXT the scope is exactly the columns of that.
    pub(super) fn fed(&mut self, query: &Query) -> Bound<Option<Vec<String>>> {
        let scope = std::mem::take(&mut self.scope);
        let names: Vec<String> = scope.names().map(str::to_owned).collect();
        let slots = scope.slots();
        let segment = self.new_segment(slots.len());
        self.step(Step::Compact { slots, segment });
        let mut env = Env::plain(&scope, "NEXT");
        let span = query.first.span;
        let (_, (query, columns)) = self.inner(&names, false, span, &mut env, |binder| {
            binder.typed_composite(query)
        })?;
        let segment = self.new_segment(columns.as_ref().map_or(0, Vec::len));
        for (slot, (name, ty)) in columns.iter().flatten().enumerate() {
            self.scope.define(name, slot, ty.clone());
        }
        self.step(Step::Feed {
            query: Box::new(query),
            segment,
        });
        Ok(columns.map(|columns| columns.into_iter().map(|(name, _)| name).collect()))
    }

    /// A procedure. As a statement of its own it may take its arguments from parameters, and gives all of its columns.
    pub(super) fn call_procedure(&mut self, call: &ProcedureCall) -> Bound<Option<Vec<String>>> {
        let parts: Vec<&str> = call.name.iter().map(|part| part.text.as_str()).collect();
        let name = parts.join(".");
        let Some(signature) = self.system.procedure(&name) else {
            let message = format!("there is no procedure {name}");
            let class = ErrorClass::ProcedureError;
            return Err(QueryError::compile(class, "ProcedureNotFound", "42002", message)
                .at(self.source.position(call.span)));
        };
        let arguments = self.procedure_arguments(call, &name, &signature.inputs)?;
        let is_void = signature.outputs.is_empty();
        let standalone = self.standalone;
        let yields = match &call.yields {
            Some(Yield::All(span)) if !standalone => {
                let message = "YIELD * stands only in a CALL that is a statement of its own";
                return Err(self
                    .error(*span, "UnexpectedSyntax", message)
                    .hint("name the columns that you need"));
            }
            Some(Yield::Items(items, _)) => items.clone(),
            Some(Yield::All(_)) | None if standalone => {
                let columns = signature.outputs.iter().map(|(text, _)| Name {
                    text: text.clone(),
                    span: call.span,
                });
                columns.map(|name| (name, None)).collect()
            }
            Some(Yield::All(_)) | None => Vec::new(),
        };
        let (mut outputs, mut names) = (Vec::new(), Vec::new());
        for (column, alias) in &yields {
            let found = signature
                .outputs
                .iter()
                .position(|(known, _)| *known == column.text);
            let Some(at) = found else {
                let message = format!("the procedure {name} gives no column {}", column.text);
                return Err(self.reference_error(column.span, "UndefinedVariable", message));
            };
            let variable = alias.as_ref().unwrap_or(column);
            let ty = signature
                .outputs
                .get(at)
                .map_or(Type::Any, |(_, ty)| static_type(*ty));
            outputs.push((at, self.new_variable(variable, ty)?));
            names.push(variable.text.clone());
        }
        let slots: Vec<usize> = outputs.iter().map(|(_, slot)| *slot).collect();
        self.step(Step::Procedure(Box::new(Procedure {
            name,
            arguments,
            outputs,
            is_void,
            span: call.span,
        })));
        if let Some(Yield::Items(_, Some(condition))) = &call.yields {
            let condition = self.condition(condition, "WHERE")?;
            self.step(Step::Filter(condition));
        }
        if !standalone || names.is_empty() {
            return Ok(None);
        }
        let segment = self.new_segment(slots.len());
        self.step(Step::Compact { slots, segment });
        Ok(Some(names))
    }

    fn procedure_arguments(
        &mut self,
        call: &ProcedureCall,
        name: &str,
        inputs: &[(String, ParameterType)],
    ) -> Bound<Vec<(crate::expr::Expr, ParameterType)>> {
        let implicit: Vec<ast::Expr>;
        let given = match &call.arguments {
            Some(given) => given,
            None if self.standalone => {
                let parameters = inputs.iter().map(|(name, _)| ast::Expr {
                    kind: ExprKind::Parameter(name.clone()),
                    span: call.span,
                });
                implicit = parameters.collect();
                &implicit
            }
            None => {
                let message = format!("the arguments of {name} are missing");
                return Err(self
                    .error(call.span, "InvalidArgumentPassingMode", message)
                    .hint("only a CALL that is a statement of its own takes its arguments from parameters"));
            }
        };
        if given.len() != inputs.len() {
            let message = format!("{name}() takes {} argument(s), not {}", inputs.len(), given.len());
            return Err(self.error(call.span, "InvalidNumberOfArguments", message));
        }
        let mut arguments = Vec::with_capacity(given.len());
        for (argument, (_, wanted)) in given.iter().zip(inputs) {
            let (value, ty) = self.plain(argument, "CALL")?;
            self.require(&ty, accepted(*wanted), argument.span, &format!("{name}()"))?;
            arguments.push((value, *wanted));
        }
        Ok(arguments)
    }
}

/// What an inner query of Cypher sees: the variables of the WITH that begins it, or one of its operands.
fn imported(query: &Query, env: &Env<'_>) -> Vec<String> {
    let operands = std::iter::once(&query.first).chain(query.rest.iter().map(|(_, linear)| linear));
    let mut mentions = Mentions::default();
    operands
        .flat_map(importing_with)
        .for_each(|expr| mentions.expr(expr));
    env.names(&mentions)
}

fn importing_with(query: &LinearQuery) -> impl Iterator<Item = &ast::Expr> {
    let items = match query.clauses.first().map(|clause| &clause.kind) {
        Some(ClauseKind::With(projection)) => projection.items.as_slice(),
        _ => &[],
    };
    let plain = items
        .iter()
        .all(|item| item.alias.is_none() && matches!(item.expr.kind, ExprKind::Variable(_)));
    items.iter().filter(move |_| plain).map(|item| &item.expr)
}

fn accepted(wanted: ParameterType) -> TypeSet {
    match wanted {
        ParameterType::Any => TypeSet::ANY,
        ParameterType::Bool => TypeSet::BOOL,
        ParameterType::Int => TypeSet::INT,
        ParameterType::Float | ParameterType::Number => TypeSet::NUMBER,
        ParameterType::String => TypeSet::STRING,
        ParameterType::List => TypeSet::LIST,
        ParameterType::Map => TypeSet::MAP,
    }
}

fn static_type(ty: ParameterType) -> Type {
    match ty {
        ParameterType::Bool => Type::Bool,
        ParameterType::Int => Type::Int,
        ParameterType::Float => Type::Float,
        ParameterType::String => Type::String,
        ParameterType::Map => Type::Map,
        ParameterType::Any | ParameterType::Number | ParameterType::List => Type::Any,
    }
}
