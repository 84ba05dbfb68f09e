//! Go's `text/template` (<https://pkg.go.dev/text/template>): actions, pipes, variables, `if`, `with`, `range`, `break`, `continue`, `define`,
//! `template`, and Go's own functions, under limits. What is left out: `block`, methods, `call`, `js`, complex numbers.
//!
//! Whose further functions there are, and what they do, is the embedder's to say; it knows none of Prometheus or Alertmanager.

mod builtin;
mod format;
mod lex;
mod parse;
mod render;
mod tree;
mod value;

pub use builtin::url_query;
pub use format::significant;
pub use parse::ParseError;
pub use render::{Limits, RenderError};
pub use value::{Struct, Value, show_float};

/// What an embedder brings.
pub trait Functions {
    /// Whether there is one of this name; asked when a template is read.
    fn knows(&self, name: &str) -> bool;

    /// Calls one; an error is a half-sentence.
    fn call(&self, name: &str, args: &[Value]) -> Result<Value, String>;
}

/// A template, read and checked.
#[derive(Clone, Debug)]
pub struct Template {
    name: String,
    whole: tree::Whole,
}

impl Template {
    /// Reads a template. `variables` are those that the embedder sets, with their `$`.
    pub fn parse(
        name: &str,
        text: &str,
        functions: &dyn Functions,
        variables: &[&str],
    ) -> Result<Template, ParseError> {
        Ok(Template { name: name.to_owned(), whole: parse::parse(name, text, functions, variables)? })
    }

    /// Carries it out over `data`.
    pub fn render(
        &self,
        data: &Value,
        variables: &[(&str, Value)],
        functions: &dyn Functions,
        limits: Limits,
    ) -> Result<String, RenderError> {
        render::render(&self.name, &self.whole, data, variables, functions, limits)
    }
}

#[cfg(test)]
mod tests;
