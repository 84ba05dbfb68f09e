//! What to ask an interpreter, to learn what it is and what is installed for it. Does not know who runs it.

/// Wrappers such as `poetry run` print lines of their own; the answer begins with this.
pub const PROBE_MARK: &str = "APM-PROBE:";

/// The program for `-c`; it prints one line: [`PROBE_MARK`] and a JSON object with `abi`, `executable`, `base` (the interpreter a virtual environment was
/// made from), `implementation`, `version` (two numbers) and `installed` (name to version).
/// Written for Python 3.8 and newer; an older one fails here and is run without an agent.
pub const PROBE: &str = r#"
import json, platform, sys, sysconfig
from importlib.metadata import distributions
installed = {}
for one in distributions():
    name = one.metadata["Name"]
    if name:
        installed.setdefault(name, one.version)
print("\nAPM-PROBE:" + json.dumps({
    "abi": "%s-%s" % (sysconfig.get_config_var("SOABI") or sysconfig.get_platform(), platform.machine()),
    "executable": sys.executable, "base": getattr(sys, "_base_executable", "") or "",
    "implementation": sys.implementation.name, "version": list(sys.version_info[:2]), "installed": installed}))
"#;
