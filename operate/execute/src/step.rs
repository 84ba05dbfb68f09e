//! One step carried out: check, record, act, verify, each written down before the next begins. Given the same journal it goes on where the
//! last one stopped. It does not know what comes before or after it.

use std::time::Duration;

use futures_util::future::BoxFuture;
use operate_plan::{Act, Class, Condition, Failure, ObjectId, OnFailure, Severity, Step, StepId, Work};
use serde_json::Value;

use crate::executor::{Running, own};
use crate::{Context, Event, HistoryError, Image, Judgement, Met, Recorded, Ruling};

/// Why a step did not come to its end.
enum Stop {
    Failed(Box<Failure>),
    /// Nothing can be written down, so nothing more may be done.
    History(HistoryError),
}

impl From<HistoryError> for Stop {
    fn from(error: HistoryError) -> Stop {
        Stop::History(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(Box::new(failure))
    }
}

/// What was there last instead of what is expected, for whoever ran out of time.
type Seen = parking_lot::Mutex<String>;

/// A step on its way; it ends when its end is written down.
pub(crate) type Drive<'a> = BoxFuture<'a, (StepId, Result<(), HistoryError>)>;

/// How long a person has who is asked because the judge cannot decide.
const ANSWER_MAX: Duration = Duration::from_secs(3_600);
/// The shortest and the longest time between two looks at a condition that does not hold yet.
const LOOK_MS: (u64, u64) = (100, 1_000);

pub(crate) fn drive<'a>(running: &'a Running<'a>, step: Step) -> Drive<'a> {
    Box::pin(async move {
        let limit = Duration::from_millis(step.time_limit_ms);
        let seen = Seen::default();
        // A halt and a closed window wait as long as it takes; the judge's limit is the judge's, not that of a person who is asked because it cannot decide.
        let ended = match &step.work {
            Work::Halt { .. } | Work::Window(_) | Work::Judge(_) => through(running, &step, &seen).await,
            _ => match tokio::time::timeout(limit, through(running, &step, &seen)).await {
                Ok(ended) => ended,
                Err(_) => Err(too_long(&step, &seen.lock())),
            },
        };
        let kept = match ended {
            Ok(()) => Ok(()),
            Err(Stop::History(error)) => Err(error),
            Err(Stop::Failed(failure)) => failed(running, &step, *failure).await,
        };
        (step.id, kept)
    })
}

fn too_long(step: &Step, seen: &str) -> Stop {
    let mut message = format!("`{}` took longer than its limit of {} s", step.name, step.time_limit_ms / 1000);
    if !seen.is_empty() {
        message.push_str(&format!("; seen last: {seen}"));
    }
    own(Class::Transient, "step.timeout", message, "look at what it waited for, or raise the limit").into()
}

async fn failed(running: &Running<'_>, step: &Step, failure: Failure) -> Result<(), HistoryError> {
    if step.optional {
        let message = format!("{} goes on without `{}`: {failure}", running.plan.title, step.name);
        running.executor.tell.tell(&running.run, Severity::Warning, &message);
        return running.note(Event::GivenUp { step: step.id.clone(), failure }).await;
    }
    if running.plan.on_failure == OnFailure::Halt {
        let message = format!("{} stopped at `{}` and waits for a person: {failure}", running.plan.title, step.name);
        running.executor.tell.tell(&running.run, Severity::High, &message);
    }
    running.note(Event::StepFailed { step: step.id.clone(), failure }).await
}

async fn through(running: &Running<'_>, step: &Step, seen: &Seen) -> Result<(), Stop> {
    let state = running.state().step(&step.id);
    if state.begun_ms.is_none() {
        running.note(Event::StepBegun { step: step.id.clone() }).await?;
    }
    let context = Context { run: running.run.clone(), step: step.id.clone(), fence: running.fence };
    if !state.checked {
        for condition in &step.check {
            needed(running, &context, step, condition).await?;
        }
        running.note(Event::Checked { step: step.id.clone() }).await?;
    }
    match &step.work {
        Work::Act(act) => {
            if state.before.is_none() {
                record(running, &context, step, act).await?;
            }
            if !state.acted {
                perform(running, &context, step, act).await?;
            }
        }
        Work::Judge(request) => {
            let limit = Duration::from_millis(step.time_limit_ms);
            let ruled = tokio::time::timeout(limit, judged(running, &context, step, request)).await;
            if let Some(question) = ruled.unwrap_or_else(|_| Err(too_long(step, "")))? {
                let asked = tokio::time::timeout(ANSWER_MAX, approved(running, step, &question)).await;
                asked.unwrap_or_else(|_| {
                    let message = format!("nobody answered within an hour: {question}");
                    Err(own(Class::Transient, "step.unanswered", message, "plan again when somebody is there").into())
                })?;
            }
        }
        Work::Approve { question } => approved(running, step, question).await?,
        Work::Window(calendar) => crate::window::open(running, step, calendar).await??,
        Work::Halt { why } => halted(running, step, why).await?,
        Work::Alert { severity, message } => {
            // Told first and written after: told twice is better than not at all.
            if !state.told {
                told(running, step, *severity, message).await?;
            }
        }
    }
    for condition in &step.verify {
        expected(running, &context, condition, seen).await?;
    }
    running.note(Event::StepDone { step: step.id.clone() }).await?;
    Ok(())
}

/// A condition that must hold now.
async fn needed(running: &Running<'_>, context: &Context, step: &Step, condition: &Condition) -> Result<(), Stop> {
    let mut failed = 0;
    loop {
        match call(running, &condition.object, running.executor.target.check(context, condition)).await {
            Ok(Met::Yes) => return Ok(()),
            Ok(Met::No(seen)) => {
                let message = format!("before `{}`: expected that {}, but {seen}", step.name, condition.says);
                let next = "the world has moved since the plan was made: plan again";
                return Err(own(Class::Conflict, "step.precondition", message, next).into());
            }
            Err(failure) => {
                failed += 1;
                wait_or_fail(running, step, failed, failure).await?;
            }
        }
    }
}

/// A condition that must come to hold; the step's time limit ends the wait.
async fn expected(running: &Running<'_>, context: &Context, condition: &Condition, seen: &Seen) -> Result<(), Stop> {
    let mut pause_ms = LOOK_MS.0;
    loop {
        match call(running, &condition.object, running.executor.target.check(context, condition)).await {
            Ok(Met::Yes) => return Ok(()),
            Ok(Met::No(instead)) => *seen.lock() = instead,
            Err(failure) if failure.class.is_retryable() => {
                *seen.lock() = failure.to_string();
                pause_ms = pause_ms.max(failure.retry_after_ms.unwrap_or(0));
            }
            Err(failure) => return Err(failure.into()),
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (pause_ms * 2).min(LOOK_MS.1);
    }
}

/// Writes down what the act will touch, sealed.
async fn record(running: &Running<'_>, context: &Context, step: &Step, act: &Act) -> Result<(), Stop> {
    let mut before = Vec::with_capacity(act.touches.len());
    for object in &act.touches {
        let mut failed = 0;
        let image = loop {
            match call(running, object, running.executor.target.image(context, object)).await {
                Ok(image) => break image,
                Err(failure) => {
                    failed += 1;
                    wait_or_fail(running, step, failed, failure).await?;
                }
            }
        };
        before.push(recorded(running, object, &image)?);
    }
    running.note(Event::Recorded { step: step.id.clone(), before }).await?;
    Ok(())
}

/// An image as the journal keeps it.
fn recorded(running: &Running<'_>, object: &ObjectId, image: &Image) -> Result<Recorded, Failure> {
    let seal = &running.executor.seal;
    let (plain, present) = match image {
        Image::Absent => (String::new(), false),
        // Keys are sorted by the digest's spelling only; the text itself need not be canonical, the mark must.
        Image::Present(value) => (value.to_string(), true),
    };
    let mark = match image {
        Image::Absent => "absent".to_owned(),
        Image::Present(value) => seal.mark(operate_plan::digest(value).as_str().as_bytes()),
    };
    let sealed = match present {
        true => Some(seal.seal(&sealed_name(running, object), plain.as_bytes()).map_err(|error| unsealed(&error))?),
        false => None,
    };
    Ok(Recorded { object: object.clone(), mark, sealed })
}

/// The image of a journal's line.
pub(crate) fn image_of(running: &Running<'_>, recorded: &Recorded) -> Result<Image, Failure> {
    let Some(sealed) = &recorded.sealed else { return Ok(Image::Absent) };
    let name = sealed_name(running, &recorded.object);
    let plain = running.executor.seal.open(&name, sealed).map_err(|error| unsealed(&error))?;
    let value = serde_json::from_slice(&plain).map_err(|error| unsealed(&error))?;
    Ok(Image::Present(value))
}

fn sealed_name(running: &Running<'_>, object: &ObjectId) -> String {
    format!("{}/{object}", running.run)
}

fn unsealed(error: &(dyn std::error::Error + 'static)) -> Failure {
    let next = "the key file of the machine that began the run is needed";
    own(Class::Invalid, "seal.failed", "what was recorded cannot be sealed or opened".to_owned(), next).caused_by(error)
}

async fn perform(running: &Running<'_>, context: &Context, step: &Step, act: &Act) -> Result<(), Stop> {
    loop {
        let (number, failed) = {
            let state = running.state().step(&step.id);
            (state.attempts + 1, state.failed_attempts)
        };
        running.note(Event::Attempt { step: step.id.clone(), number }).await?;
        let failure = match call(running, &act.object, running.executor.target.act(context, act)).await {
            Ok(done) => match done.touched.iter().find(|object| !act.touches.contains(object)) {
                None => {
                    running.note(Event::Acted { step: step.id.clone(), note: done.note }).await?;
                    return Ok(());
                }
                Some(object) => {
                    let message = format!("`{}` changed {object}, which the plan does not name", step.name);
                    own(Class::Invalid, "step.blast", message, "the target does more than it was asked: report it")
                }
            },
            Err(failure) => failure,
        };
        let again_ms = again_ms(running, step, failed + 1, &failure);
        let told = Event::AttemptFailed { step: step.id.clone(), number, failure: failure.clone(), again_ms };
        running.note(told).await?;
        match again_ms {
            Some(again_ms) => tokio::time::sleep(Duration::from_millis(again_ms)).await,
            None => return Err(failure.into()),
        }
    }
}

/// `None` when it passed, or what a person must be asked.
async fn judged(
    running: &Running<'_>,
    context: &Context,
    step: &Step,
    request: &Value,
) -> Result<Option<String>, Stop> {
    let since_ms = running.state().step(&step.id).begun_ms.unwrap_or_default();
    let mut failed = 0;
    loop {
        let Judgement { ruling, health } = match running.executor.judge.judge(context, request, since_ms).await {
            Ok(judgement) => judgement,
            Err(failure) => {
                failed += 1;
                wait_or_fail(running, step, failed, failure).await?;
                continue;
            }
        };
        failed = 0;
        if running.state().step(&step.id).ruling.as_ref() != Some(&ruling) {
            running.note(Event::Judged { step: step.id.clone(), ruling: ruling.clone(), health }).await?;
        }
        match ruling {
            Ruling::Wait { again_ms, .. } => tokio::time::sleep(Duration::from_millis(again_ms.max(LOOK_MS.0))).await,
            Ruling::Pass { .. } => return Ok(None),
            Ruling::Fail { sentence, .. } => {
                let next = "look at the charts that the verdict names";
                return Err(own(Class::Invalid, "judge.failed", sentence, next).into());
            }
            Ruling::Inconclusive { sentence } => return Ok(Some(sentence)),
        }
    }
}

async fn approved(running: &Running<'_>, step: &Step, question: &str) -> Result<(), Stop> {
    if !running.state().step(&step.id).asked {
        running.note(Event::Asked { step: step.id.clone(), question: question.to_owned() }).await?;
        running.executor.tell.tell(&running.run, Severity::Warning, &format!("a person is asked: {question}"));
    }
    let (yes, command) = answer(running, &step.id).await;
    if yes {
        return Ok(());
    }
    let reason = if command.reason.is_empty() { String::new() } else { format!(": {}", command.reason) };
    let message = format!("{} said no to `{question}`{reason}", command.actor);
    Err(own(Class::Permission, "step.rejected", message, "talk to them, or plan again").into())
}

async fn halted(running: &Running<'_>, step: &Step, why: &str) -> Result<(), Stop> {
    let state = running.state().step(&step.id);
    if !state.halted && state.answer.is_none() {
        running.note(Event::Halted { step: step.id.clone(), why: why.to_owned() }).await?;
        running.executor.tell.tell(&running.run, Severity::High, &format!("halted: {why}"));
    }
    answer(running, &step.id).await;
    Ok(())
}

async fn told(running: &Running<'_>, step: &Step, severity: Severity, message: &str) -> Result<(), HistoryError> {
    running.executor.tell.tell(&running.run, severity, message);
    running.note(Event::Told { step: step.id.clone(), severity, message: message.to_owned() }).await
}

/// Waits until a person has answered a step.
pub(crate) async fn answer(running: &Running<'_>, step: &StepId) -> (bool, crate::Command) {
    let mut changed = running.log.changed.subscribe();
    loop {
        if let Some(answer) = running.state().step(step).answer {
            return answer;
        }
        // The sender lives as long as the run.
        if changed.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A call to the target about an object, through the breaker of the place where it is.
pub(crate) async fn call<T>(
    running: &Running<'_>,
    object: &ObjectId,
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let clock = &running.executor.clock;
    let site = object.site_name();
    loop {
        let now_ms = clock.monotonic_ns() / 1_000_000;
        let wait_ms = running.breakers.lock().entry(site.to_owned()).or_default().admit(now_ms);
        match wait_ms {
            Some(wait_ms) => tokio::time::sleep(Duration::from_millis(wait_ms)).await,
            None => break,
        }
    }
    let answer = call.await;
    let mut breakers = running.breakers.lock();
    let breaker = breakers.entry(site.to_owned()).or_default();
    match &answer {
        Ok(_) => breaker.worked(),
        Err(failure) => breaker.failed(failure, clock.monotonic_ns() / 1_000_000),
    }
    drop(breakers);
    answer
}

/// How long to wait after the `failed`-th failure in a row, `None` when it is one too many.
fn again_ms(running: &Running<'_>, step: &Step, failed: u32, failure: &Failure) -> Option<u64> {
    if !failure.class.is_retryable() {
        return None;
    }
    let drawn = operate_plan::digest(&(&running.run, &step.id, failed));
    let seed = u64::from_str_radix(drawn.as_str().get(..15).unwrap_or("0"), 16).unwrap_or(0);
    step.retry.wait_ms(failed, seed, failure.retry_after_ms)
}

/// Sleeps before the next try, or gives the failure back.
pub(crate) async fn wait_or_fail(
    running: &Running<'_>,
    step: &Step,
    failed: u32,
    failure: Failure,
) -> Result<(), Failure> {
    match again_ms(running, step, failed, &failure) {
        Some(wait_ms) => {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            Ok(())
        }
        None => Err(failure),
    }
}
