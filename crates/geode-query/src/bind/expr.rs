//! Binds expressions: variables, functions and aggregates are found, types are followed as far as they are known.

use super::env::{Env, Mode, known_column};
use super::{Binder, Bound};
use crate::aggregate::{Aggregate, AggregateCall};
use crate::datum::Datum;
use crate::error::INVALID_VALUE_TYPE;
use crate::expr::{Expr, LabelTest, Step};
use crate::function::{self, Function};
use crate::types::{Type, TypeSet};
use geode_gql::Span;
use geode_gql::ast::{self, AccessStep, ExprKind, LabelExpr, Literal, Name};
use geode_graph::TokenKind;
use geode_types::{ErrorClass, QueryError, nearest};

impl Binder<'_> {
    /// Binds an expression and says what is known of its type. It calls itself once per level of nesting, so the work is done in
    /// functions beside this one.
    pub(super) fn expr(&mut self, expr: &ast::Expr, env: &mut Env<'_>) -> Bound<(Expr, Type)> {
        if let Some((slot, ty)) = known_column(expr, env) {
            return Ok((Expr::Slot(slot), ty));
        }
        match &expr.kind {
            ExprKind::Literal(literal) => Ok(constant(literal)),
            ExprKind::Parameter(name) => Ok((Expr::Param(self.param(name, expr.span)), Type::Any)),
            ExprKind::Variable(name) => self.variable(name, expr.span, env),
            ExprKind::Access(base, steps) => self.access(base, steps, env),
            ExprKind::List(items) => self.list_of(items, env),
            ExprKind::Map(entries) => self.map_of(entries, env),
            ExprKind::Call {
                name,
                distinct,
                arguments,
            } => self.call(name, *distinct, arguments, expr.span, env),
            ExprKind::CountStar => self.count_rows(expr.span, env),
            ExprKind::Cast(operand, target) => self.cast(operand, target, expr.span, env),
            _ => self.operator(expr, env),
        }
    }

    fn list_of(&mut self, items: &[ast::Expr], env: &mut Env<'_>) -> Bound<(Expr, Type)> {
        let mut element = None;
        let mut bound = Vec::with_capacity(items.len());
        for item in items {
            let (item, ty) = self.expr(item, env)?;
            element = Some(element.map_or_else(|| ty.clone(), |known: Type| known.join(ty.clone())));
            bound.push(item);
        }
        Ok((
            Expr::List(bound),
            Type::List(Box::new(element.unwrap_or(Type::Any))),
        ))
    }

    pub(super) fn map_of(&mut self, entries: &[(Name, ast::Expr)], env: &mut Env<'_>) -> Bound<(Expr, Type)> {
        let mut bound = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            bound.push((key.text.as_str().into(), self.expr(value, env)?.0));
        }
        Ok((Expr::Map(bound), Type::Map))
    }

    fn count_rows(&mut self, span: Span, env: &mut Env<'_>) -> Bound<(Expr, Type)> {
        let call = AggregateCall {
            function: Aggregate::CountRows,
            distinct: false,
            argument: None,
            parameter: None,
            dialect: self.dialect,
            span,
        };
        self.aggregate(call, Type::Null, span, env)
    }

    fn cast(
        &mut self,
        operand: &ast::Expr,
        target: &ast::ValueType,
        span: Span,
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        let (operand, _) = self.expr(operand, env)?;
        let ty = type_of(target);
        Ok((Expr::Cast(Box::new(operand), target.clone(), span), ty))
    }

    fn variable(&mut self, name: &str, span: Span, env: &Env<'_>) -> Bound<(Expr, Type)> {
        if let Some(depth) = env.locals.iter().rposition(|(local, _)| local == name) {
            return Ok((Expr::Local(depth), env.locals[depth].1.clone()));
        }
        if env.scope.get(name).is_none()
            && let Some(called) = function::bare(name)
        {
            return Ok((Expr::Call(called, Vec::new(), span), (called.result)(&[])));
        }
        if let Mode::Grouped { .. } = &env.mode {
            return Err(match env.scope.get(name) {
                Some(_) => self.ambiguous(name, span),
                None => self.undefined_variable(name, span, env.scope),
            });
        }
        match (env.scope.get(name), &env.mode) {
            (Some(variable), _) => Ok((Expr::Slot(variable.slot), variable.ty.clone())),
            (
                None,
                Mode::Columns {
                    columns,
                    before,
                    aggregates: true,
                },
            ) if before.get(name).is_some() && columns.mention(name) => Err(self.ambiguous(name, span)),
            (None, _) => Err(self.undefined_variable(name, span, env.scope)),
        }
    }

    fn ambiguous(&self, name: &str, span: Span) -> QueryError {
        let message = format!("{name} is used beside an aggregate, but rows are not grouped by it");
        self.error(span, "AmbiguousAggregationExpression", message)
            .hint(format!("make {name}, or the property of it that you need, a column of its own, and use that column's expression here"))
    }

    fn access(&mut self, base: &ast::Expr, steps: &[AccessStep], env: &mut Env<'_>) -> Bound<(Expr, Type)> {
        let (bound, mut ty) = self.expr(base, env)?;
        let mut taken = Vec::with_capacity(steps.len());
        for step in steps {
            match step {
                AccessStep::Key(name) => {
                    self.check_container(
                        &ty,
                        TypeSet::NODE
                            .or(TypeSet::EDGE)
                            .or(TypeSet::MAP)
                            .or(TypeSet::TEMPORAL),
                        name.span,
                        "a property",
                    )?;
                    taken.push(Step::Key(
                        self.names.intern(TokenKind::PropertyKey, &name.text),
                        name.span,
                    ));
                    ty = Type::Any;
                }
                AccessStep::Index(index) => {
                    let containers = TypeSet::LIST
                        .or(TypeSet::NODE)
                        .or(TypeSet::EDGE)
                        .or(TypeSet::MAP)
                        .or(TypeSet::TEMPORAL);
                    self.check_container(&ty, containers, index.span, "an element")?;
                    taken.push(Step::Index(self.expr(index, env)?.0, index.span));
                    ty = ty.element();
                }
                AccessStep::Slice(from, to) => {
                    self.check_container(&ty, TypeSet::LIST, base.span, "a slice")?;
                    let mut bound = |bound: &Option<ast::Expr>| -> Bound<Option<Expr>> {
                        bound
                            .as_ref()
                            .map(|bound| Ok(self.expr(bound, env)?.0))
                            .transpose()
                    };
                    let (from, to) = (bound(from)?, bound(to)?);
                    taken.push(Step::Slice(from, to, base.span));
                }
            }
        }
        Ok((Expr::Access(Box::new(bound), taken), ty))
    }

    fn check_container(&self, ty: &Type, containers: TypeSet, span: Span, what: &str) -> Bound<()> {
        if ty.can_be(containers) {
            return Ok(());
        }
        let class = if *ty == Type::Path {
            ErrorClass::SyntaxError
        } else {
            ErrorClass::TypeError
        };
        let message = format!(
            "{what} is taken from {}, not from {}",
            containers.names(),
            ty.name()
        );
        Err(
            QueryError::compile(class, "InvalidArgumentType", INVALID_VALUE_TYPE, message)
                .at(self.source.position(span)),
        )
    }

    fn call(
        &mut self,
        name: &Name,
        distinct: bool,
        arguments: &[ast::Expr],
        span: Span,
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        if let (
            "exists",
            [
                ast::Expr {
                    kind: ExprKind::Pattern(pattern),
                    ..
                },
            ],
        ) = (name.text.to_ascii_lowercase().as_str(), arguments)
        {
            return Ok((self.pattern_predicate(pattern, env)?, Type::Bool));
        }
        if let Some(aggregate) = Aggregate::by_name(&name.text) {
            return self.aggregate_call(aggregate, name, distinct, arguments, span, env);
        }
        let Some(called) = function::by_name(&name.text) else {
            return Err(self.unknown_function(name));
        };
        if matches!(env.mode, Mode::Aggregated) && called.name == "rand" {
            let message = "rand() cannot stand inside an aggregate";
            return Err(self
                .error(span, "NonConstantExpression", message)
                .hint("compute it in WITH first"));
        }
        if distinct {
            return Err(self.error(
                span,
                "UnexpectedSyntax",
                format!("DISTINCT has no meaning in {}()", called.name),
            ));
        }
        if !called.accepts(arguments.len()) {
            let wanted = match (called.required, called.parameters.len()) {
                (least, _) if called.variadic => format!("at least {least}"),
                (least, most) if least == most => format!("{least}"),
                (least, most) => format!("{least} to {most}"),
            };
            let message = format!(
                "{}() takes {wanted} argument(s), not {}",
                called.name,
                arguments.len()
            );
            return Err(self.error(span, "InvalidNumberOfArguments", message));
        }
        self.arguments(called, arguments, span, env)
    }

    fn arguments(
        &mut self,
        called: &'static Function,
        arguments: &[ast::Expr],
        span: Span,
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        let (mut bound, mut types) = (Vec::new(), Vec::new());
        for (at, argument) in arguments.iter().enumerate() {
            let (value, ty) = self.expr(argument, env)?;
            self.require(
                &ty,
                called.parameter(at),
                argument.span,
                &format!("{}()", called.name),
            )?;
            bound.push(value);
            types.push(ty);
        }
        let ty = (called.result)(&types);
        Ok((Expr::Call(called, bound, span), ty))
    }

    fn unknown_function(&self, name: &Name) -> QueryError {
        let error = self.reference_error(
            name.span,
            "UnknownFunction",
            format!("there is no function {}()", name.text),
        );
        let known = function::names().chain(Aggregate::names());
        match nearest(&name.text, known).filter(|_| name.text.len() <= 64) {
            Some(near) => error.hint(format!("did you mean {near}()?")),
            None => error.hint(
                "the functions of this version are listed in the reference; what is not listed is not there",
            ),
        }
    }

    fn aggregate_call(
        &mut self,
        function: Aggregate,
        name: &Name,
        distinct: bool,
        arguments: &[ast::Expr],
        span: Span,
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        if arguments.len() != function.arity() {
            let message = format!(
                "{}() takes {} argument(s), not {}",
                name.text,
                function.arity(),
                arguments.len()
            );
            return Err(self.error(span, "InvalidNumberOfArguments", message));
        }
        self.check_aggregate(span, env)?;
        let mut inner = Env {
            scope: env.scope,
            locals: env.locals.clone(),
            mode: Mode::Aggregated,
            place: env.place,
        };
        let mut bound = Vec::new();
        for argument in arguments {
            let (value, ty) = self.expr(argument, &mut inner)?;
            self.require(
                &ty,
                function.argument(),
                argument.span,
                &format!("{}()", name.text),
            )?;
            bound.push((value, ty));
        }
        let mut bound = bound.into_iter();
        let (argument, ty) = bound
            .next()
            .map_or((None, Type::Null), |(argument, ty)| (Some(argument), ty));
        let call = AggregateCall {
            function,
            distinct,
            argument,
            parameter: bound.next().map(|(parameter, _)| parameter),
            dialect: self.dialect,
            span,
        };
        self.aggregate(call, ty, span, env)
    }

    /// Whether an aggregate may stand here.
    fn check_aggregate(&self, span: Span, env: &Env<'_>) -> Bound<()> {
        if !env.locals.is_empty() {
            return Err(self.error(
                span,
                "InvalidAggregation",
                "an aggregate cannot stand inside a list expression",
            ));
        }
        match &env.mode {
            Mode::Grouped { .. } | Mode::Columns { .. } => Ok(()),
            Mode::Aggregated => Err(self.error(
                span,
                "NestedAggregation",
                "an aggregate cannot stand inside another one",
            )),
            Mode::Plain => {
                let message = format!("{} cannot contain an aggregate", env.place);
                Err(self
                    .error(span, "InvalidAggregation", message)
                    .hint("compute it in WITH or RETURN, and use the column's name"))
            }
        }
    }

    fn aggregate(
        &mut self,
        call: AggregateCall,
        argument: Type,
        span: Span,
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        self.check_aggregate(span, env)?;
        let ty = call.function.result(&argument);
        match &mut env.mode {
            Mode::Grouped { keys, calls, .. } => {
                calls.push(call);
                Ok((Expr::Slot(keys.len() + calls.len() - 1), ty))
            }
            _ => {
                let message = format!("{} can only use aggregates that are columns", env.place);
                Err(self
                    .error(span, "InvalidAggregation", message)
                    .hint("add the aggregate to the columns"))
            }
        }
    }

    /// Binds with one more variable of a list expression.
    pub(super) fn with_local(
        &mut self,
        name: &Name,
        ty: Type,
        expr: &ast::Expr,
        env: &mut Env<'_>,
    ) -> Bound<(Expr, Type)> {
        env.locals.push((name.text.clone(), ty));
        let bound = self.expr(expr, env);
        env.locals.pop();
        bound
    }

    pub(super) fn label_test(&mut self, labels: &LabelExpr) -> LabelTest {
        match labels {
            LabelExpr::Name(name) => LabelTest::Name {
                label: self.names.intern(TokenKind::Label, &name.text),
                edge_type: self.names.intern(TokenKind::EdgeType, &name.text),
            },
            LabelExpr::Wildcard(_) => LabelTest::Any,
            LabelExpr::Not(inner) => LabelTest::Not(Box::new(self.label_test(inner))),
            LabelExpr::And(parts) => LabelTest::All(parts.iter().map(|part| self.label_test(part)).collect()),
            LabelExpr::Or(parts) => {
                LabelTest::Either(parts.iter().map(|part| self.label_test(part)).collect())
            }
        }
    }
}

/// What is known of a value of a declared type.
fn type_of(declared: &ast::ValueType) -> Type {
    use ast::ValueType as Declared;
    match declared {
        Declared::Any | Declared::Nothing | Declared::Union(_) => Type::Any,
        Declared::Null => Type::Null,
        Declared::Bool => Type::Bool,
        Declared::Int { .. } => Type::Int,
        Declared::Float => Type::Float,
        Declared::Decimal(_) => Type::Decimal,
        Declared::String(_) => Type::String,
        Declared::Bytes(_) => Type::Bytes,
        Declared::Temporal(kind) => Type::Temporal(*kind),
        Declared::List(element) => Type::List(Box::new(type_of(element))),
        Declared::Record => Type::Map,
        Declared::Node => Type::Node,
        Declared::Edge => Type::Edge,
        Declared::Path => Type::Path,
        Declared::NotNull(inner) => type_of(inner),
    }
}

fn constant(literal: &Literal) -> (Expr, Type) {
    let (datum, ty) = match literal {
        Literal::Null => (Datum::Null, Type::Null),
        Literal::Bool(truth) => (Datum::Bool(*truth), Type::Bool),
        Literal::Int(number) => (Datum::Int(*number), Type::Int),
        Literal::Float(number) => (Datum::Float(*number), Type::Float),
        Literal::String(text) => (Datum::string(text), Type::String),
        Literal::Bytes(bytes) => (Datum::Bytes(bytes.as_slice().into()), Type::Bytes),
        Literal::Decimal(number) => (Datum::Decimal(*number), Type::Decimal),
        Literal::Temporal(value) => (Datum::Temporal(value.clone()), Type::Temporal(value.kind())),
    };
    (Expr::Const(datum), ty)
}
