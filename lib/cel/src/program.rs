//! A text that was checked, ready to be evaluated again and again. Knows no syntax.

use std::sync::Arc;

use crate::ast::Expr;
use crate::check::{Checker, MacrosSince};
use crate::cost::{Sizes, estimate};
use crate::env::Env;
use crate::error::{CompileError, EvalError};
use crate::eval::Evaluation;
use crate::parse::parse;
use crate::types::{Bindings, Type};
use crate::value::Value;

/// Which version of an environment is meant, and from which on some macros are there.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Functions and macros that came later are not declared.
    pub version: u16,
    pub two_variable_macros_since: u16,
    pub sort_by_since: u16,
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Program {
    expr: Arc<Expr>,
    result: Type,
    used: Arc<[Arc<str>]>,
}

impl Program {
    /// Parses and checks a text over variables of these types.
    ///
    /// # Errors
    /// [`CompileError::Wrong`] with the place and cel-go's words; [`CompileError::Limit`] if it is larger than is taken here.
    pub fn compile(text: &str, env: &Env, variables: &[(&str, Type)], limits: Limits) -> Result<Program, CompileError> {
        let mut expr = parse(text).map_err(|fault| fault.told(text))?;
        let macros = MacrosSince { two_variables: limits.two_variable_macros_since, sort_by: limits.sort_by_since };
        let scope = variables.iter().map(|(name, kind)| (Arc::from(*name), kind.clone())).collect();
        let mut checker = Checker {
            env,
            version: limits.version,
            macros,
            scope,
            bindings: Bindings::default(),
            used: Vec::new(),
            mixed: false,
        };
        let result = checker.check(&mut expr).map_err(|fault| fault.told(text))?;
        let result = checker.bindings.put_in(&result, true);
        expr.each(&mut |part| part.of = checker.bindings.put_in(&part.of, true));
        Ok(Program { expr: Arc::new(expr), result, used: checker.used.into() })
    }

    pub fn result(&self) -> &Type {
        &self.result
    }

    /// Whether a variable is named in it.
    pub fn uses(&self, variable: &str) -> bool {
        self.used.iter().any(|name| &**name == variable)
    }

    /// What it costs at most, in units of cel-go, where the variables are no larger than `sizes` says.
    pub fn estimate(&self, sizes: Sizes<'_>) -> u64 {
        estimate(&self.expr, sizes)
    }

    /// Evaluates it; what it costs is taken from `fuel`.
    ///
    /// # Errors
    /// See [`EvalError`].
    pub fn evaluate(&self, variables: &[(&str, Value)], fuel: &mut u64) -> Result<Value, EvalError> {
        let scope = variables.iter().map(|(name, value)| (Arc::from(*name), value.clone())).collect();
        let fuel_max = *fuel;
        Evaluation { scope, fuel, fuel_max }.value(&self.expr)
    }
}
