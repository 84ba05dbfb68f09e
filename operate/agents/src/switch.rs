//! By which variables each runtime takes up an agent whose files lie in a folder. Sources: the zero-code pages of OpenTelemetry's documentation for each
//! language. Does not know how the folder came into a container, nor the runtimes whose variables depend on what the folder holds (Python, Node).

use crate::Language;

/// How a variable meets one that is there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Join {
    /// Ours alone.
    Replace,
    /// Ours first, then this, then theirs.
    Before(&'static str),
    /// Theirs first.
    After(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    pub value: String,
    pub join: Join,
}

/// The variables that switch on the agent in `dir`; empty where no variable does.
pub fn switches(language: Language, dir: &str) -> Vec<Variable> {
    let join = |name: &str, value: String, join: Join| Variable { name: name.to_owned(), value, join };
    let set = |name: &str, value: String| join(name, value, Join::Replace);
    match language {
        Language::Java => {
            vec![join("JAVA_TOOL_OPTIONS", format!("-javaagent:{dir}/opentelemetry-javaagent.jar"), Join::After(" "))]
        }
        Language::DotNet => vec![
            set("CORECLR_ENABLE_PROFILING", "1".to_owned()),
            set("CORECLR_PROFILER", "{918728DD-259F-4A6A-AC2B-B85E1B658318}".to_owned()),
            set("CORECLR_PROFILER_PATH", format!("{dir}/linux-x64/OpenTelemetry.AutoInstrumentation.Native.so")),
            join("DOTNET_ADDITIONAL_DEPS", format!("{dir}/AdditionalDeps"), Join::Before(":")),
            join("DOTNET_SHARED_STORE", format!("{dir}/store"), Join::Before(":")),
            join(
                "DOTNET_STARTUP_HOOKS",
                format!("{dir}/net/OpenTelemetry.AutoInstrumentation.StartupHook.dll"),
                Join::Before(":"),
            ),
            set("OTEL_DOTNET_AUTO_HOME", dir.to_owned()),
        ],
        Language::Ruby => vec![
            join("RUBYLIB", format!("{dir}/lib"), Join::Before(":")),
            join("RUBYOPT", "-ropentelemetry-auto-instrumentation".to_owned(), Join::After(" ")),
        ],
        Language::Php => vec![
            // An empty place in the list stands for the folder PHP was built with.
            join("PHP_INI_SCAN_DIR", format!(":{dir}/php.d"), Join::After("")),
            set("OTEL_PHP_AUTOLOAD_ENABLED", "true".to_owned()),
        ],
        _ => Vec::new(),
    }
}
