//! Whether a server finds the rules of a definition too costly: what each costs at most, times how often its place may be in an object, and all of them
//! together (apiextensions-apiserver, `pkg/apis/apiextensions/validation`). It estimates from the schema alone, and looks at no object.

use lib_cel::Program;

use super::at::At;
use super::bounds::Bounds;
use super::finding::Out;

/// Of one expression, and of all of a version's schema.
const RULE_COST_MAX: u64 = 10_000_000;
const SCHEMA_COST_MAX: u64 = 100_000_000;
/// Earlier servers estimate by an earlier cel-go, which differs in some functions.
const SINCE_MINOR: u8 = 34;

/// The expressions of one version's schema.
#[derive(Default)]
pub(super) struct Budget {
    total: u64,
}

impl Budget {
    /// Counts an expression whose place is there `times` at most, for each object; none where nothing bounds it.
    pub(super) fn count(
        &mut self,
        at: &At<'_>,
        what: &str,
        program: &Program,
        bounds: &Bounds,
        times: Option<u64>,
        out: &mut Out,
    ) {
        let cost = program.estimate(&|path| bounds.size(path));
        let cost = if what == "rule" { cost.saturating_mul(times.unwrap_or_else(|| bounds.times_max())) } else { cost };
        self.total = self.total.saturating_add(cost);
        if cost > RULE_COST_MAX {
            told(at, &too_costly(&format!("estimated {what} cost"), cost, RULE_COST_MAX), out);
        }
    }

    /// When all are counted.
    pub(super) fn end(&self, schema: &At<'_>, out: &mut Out) {
        if self.total > SCHEMA_COST_MAX {
            let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
            told(schema, &too_costly(what, self.total, SCHEMA_COST_MAX), out);
        }
    }
}

fn told(at: &At<'_>, what: &str, out: &mut Out) {
    if out.minor >= SINCE_MINOR && !out.newer {
        let fix = "bound the lists, maps and texts that it looks at, or look at fewer of them";
        out.error(at, "custom/definition", format!("Forbidden: {what}"), fix);
    } else {
        out.not_checked
            .push(format!("{}: whether this server finds it too costly; Kubernetes 1.36 says: {what}", at.path()));
    }
}

#[expect(clippy::cast_precision_loss, reason = "the server computes it so")]
fn too_costly(name: &str, cost: u64, most: u64) -> String {
    let factor = cost as f64 / most as f64;
    let factor = if factor > 100.0 {
        "more than 100x".to_owned()
    } else if factor < 1.5 {
        format!("{factor:.6}x")
    } else {
        format!("{factor:.1}x")
    };
    format!(
        "{name} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}
