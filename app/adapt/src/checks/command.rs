//! One command of this machine: its words, its end, the last line that it printed. No shell reads it, unless the command names one.

use std::process::Stdio;
use std::time::Duration;

use operate_gate::Answer;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// Of each output; the rest is read and forgotten, so that nothing waits for a reader.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;
/// Of its last line, in letters.
const SAID_MAX: usize = 200;
/// What this process is trusted with is not handed on.
const KEPT_BACK: [&str; 1] = ["APM_TOKEN"];

/// Ends it, with all that it started, after `time`.
pub(super) async fn run(line: &str, environment: &[(&'static str, String)], time: Duration) -> Answer {
    let words = match words(line) {
        Ok(words) => words,
        Err(reason) => return Answer::Failed { reason },
    };
    let Some((program, arguments)) = words.split_first() else {
        return Answer::Failed { reason: "the command is empty".into() };
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
    for name in KEPT_BACK {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Answer::Checked { ok: false, said: format!("`{program}` cannot be started: {error}") },
    };
    let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    match tokio::time::timeout(time, ended(child)).await {
        Ok(answer) => answer,
        Err(_) => {
            drop(group);
            Answer::Checked { ok: false, said: format!("`{program}` had not ended after {} s", time.as_secs()) }
        }
    }
}

/// The command and what it started; nothing of it outlives the check.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // An error means that all of it has ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn ended(mut child: Child) -> Answer {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (status, out, err) = tokio::join!(child.wait(), read(stdout), read(stderr));
    let status = match status {
        Ok(status) => status,
        Err(error) => return Answer::Failed { reason: format!("its end is unknown: {error}") },
    };
    let last = |text: &str| text.lines().rfind(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned());
    let how = match status.code() {
        Some(code) => format!("exit code {code}"),
        None => "ended by a signal".to_owned(),
    };
    let said = match last(&err).or_else(|| last(&out)) {
        Some(line) => format!("{how}: {}", line.chars().filter(|c| !c.is_control()).take(SAID_MAX).collect::<String>()),
        None => how,
    };
    Answer::Checked { ok: status.success(), said }
}

async fn read(output: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut output) = output else { return String::new() };
    let mut bytes = Vec::new();
    let mut head = (&mut output).take(OUTPUT_BYTES_MAX);
    // What was read until an error is what there is.
    let _ = head.read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut output, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Blanks part words; quotes of either kind hold them together. Nothing is expanded.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        return Err(format!("the command has a {open} that is not closed"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_words(line: &str, expect: Result<&[&str], &str>) {
        let found = words(line);
        match expect {
            Ok(expect) => {
                assert_eq!(found.as_deref(), Ok(&expect.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()[..]))
            }
            Err(expect) => assert!(found.as_ref().is_err_and(|said| said.contains(expect)), "{found:?}"),
        }
    }

    #[test]
    fn a_line_is_words_and_no_shell() {
        check_words("./smoke.sh  --fast", Ok(&["./smoke.sh", "--fast"]));
        check_words(r#"sh -c 'echo "a b"' """#, Ok(&["sh", "-c", "echo \"a b\"", ""]));
        check_words("echo $HOME;ls *", Ok(&["echo", "$HOME;ls", "*"]));
        check_words("", Ok(&[]));
        check_words("echo 'a", Err("not closed"));
    }

    async fn check_run(line: &str, ok: bool, says: &str) {
        let environment = [("APM_VERSION", "2".to_owned())];
        let answer = run(line, &environment, Duration::from_secs(5)).await;
        let Answer::Checked { ok: found, said } = &answer else { panic!("{answer:?}") };
        assert!(*found == ok && said.contains(says), "{answer:?}");
    }

    #[tokio::test]
    async fn its_end_is_the_result_and_its_last_line_the_reason() {
        check_run("true", true, "exit code 0").await;
        check_run("sh -c 'echo first; echo no cart >&2; exit 3'", false, "exit code 3: no cart").await;
        check_run("sh -c 'echo version $APM_VERSION'", true, "version 2").await;
        check_run("/no/such/program", false, "cannot be started").await;
        // Far more than is kept, and than a pipe holds.
        check_run("sh -c 'head -c 3000000 /dev/zero; exit 1'", false, "exit code 1").await;
        check_run("sh -c 'kill -9 $$'", false, "ended by a signal").await;
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_ended_with_all_it_started() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mark = folder.path().join("mark");
        // Its child would write the mark, were it left alive.
        let line = format!("sh -c '(sleep 2; echo alive > {}) & sleep 60'", mark.display());
        let answer = run(&line, &[], Duration::from_millis(500)).await;
        assert!(matches!(&answer, Answer::Checked { ok: false, said } if said.contains("had not ended")), "{answer:?}");
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!mark.exists(), "what it started lives on");
    }
}
