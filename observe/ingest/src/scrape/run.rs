//! What scraped texts become, one after another, for one target: samples under the target's labels, the report series
//! (`up`, `scrape_*`) and markers for series that ended.

use std::sync::Arc;

use base_signal::{Exemplar, LabelArena, Labels, Metadata, stale_nan};
use observe_source::MetricWrite;
use observe_wire::exposition::{ExemplarRow, Format, Item, Row, parse};

use super::target::{ScrapeJob, Target};
use super::{FetchRequest, Fetched};
use crate::relabel::LabelMap;

/// One target's loop: remembers its series from scrape to scrape.
#[derive(Debug)]
pub struct ScrapeLoop {
    job: Arc<ScrapeJob>,
    target: Target,
    /// By the labels as exposed, name included.
    known: ahash::HashMap<Labels, Known>,
    metadata: ahash::HashMap<String, Metadata>,
    round: u64,
    last_scrape_ms: Option<i64>,
}

#[derive(Debug)]
struct Known {
    /// `None`: dropped by a metric relabelling rule.
    labels: Option<Labels>,
    /// The rounds that saw it first and last.
    born: u64,
    round: u64,
    /// Whether it ends when it is no longer exposed: not when the target gives its own times.
    ends: bool,
    exemplar: Option<(Labels, u64, Option<i64>)>,
}

/// The outcome of one scrape.
#[derive(Debug, Default)]
pub struct Scraped {
    pub write: MetricWrite,
    /// Why the target is down; what `up` says.
    pub error: Option<String>,
    /// Samples the target exposed.
    pub samples: usize,
    /// Samples left after relabelling, duplicates included.
    pub samples_kept: usize,
    pub series_added: usize,
    /// Series exposed twice in one text; only the first counts.
    pub duplicates: usize,
}

impl ScrapeLoop {
    pub fn new(job: Arc<ScrapeJob>, target: Target) -> Self {
        ScrapeLoop {
            job,
            target,
            known: ahash::HashMap::default(),
            metadata: ahash::HashMap::default(),
            round: 0,
            last_scrape_ms: None,
        }
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What to fetch now.
    pub fn request(&self) -> FetchRequest {
        FetchRequest {
            job: self.job.config.job_name.clone(),
            url: self.target.url.clone(),
            accept: Format::ACCEPT,
            compression: self.job.config.enable_compression,
            timeout_ms: self.target.timeout_ms,
            body_max_bytes: self.job.config.body_size_limit.0,
        }
    }

    /// Takes the answer to a request that began at `start_ms` (Unix) and took `duration_ns`.
    pub fn finish(&mut self, answer: Result<&Fetched, &str>, start_ms: i64, duration_ns: u64) -> Scraped {
        self.round += 1;
        self.last_scrape_ms = Some(start_ms);
        let parsed = answer.map_err(str::to_owned).and_then(|fetched| self.parse(fetched, start_ms));
        let mut scraped = match parsed {
            Ok(scraped) => scraped,
            Err(error) => {
                // Nothing of a broken answer is kept: no series was seen in this round, none began in it.
                let round = self.round;
                self.known.retain(|_, known| known.born < round);
                self.known.values_mut().for_each(|known| known.round = known.born);
                Scraped { error: Some(error), ..Scraped::default() }
            }
        };
        self.end_unseen(start_ms, &mut scraped.write);
        let up = if scraped.error.is_none() { 1.0 } else { 0.0 };
        let report = [
            ("up", up),
            ("scrape_duration_seconds", duration_ns as f64 / 1e9),
            ("scrape_samples_scraped", scraped.samples as f64),
            ("scrape_samples_post_metric_relabeling", scraped.samples_kept as f64),
            ("scrape_series_added", scraped.series_added as f64),
        ];
        for (name, value) in report {
            self.report(name, value, start_ms, &mut scraped.write);
        }
        scraped
    }

    /// The target went away: everything it had ends at `now_ms`, `up` and its like included.
    pub fn gone(&mut self, now_ms: i64) -> MetricWrite {
        let mut write = MetricWrite::default();
        let Some(last_ms) = self.last_scrape_ms.take() else { return write };
        let time_ms = now_ms.max(last_ms + 1);
        self.round += 1;
        self.end_unseen(time_ms, &mut write);
        for name in [
            "up",
            "scrape_duration_seconds",
            "scrape_samples_scraped",
            "scrape_samples_post_metric_relabeling",
            "scrape_series_added",
        ] {
            self.report(name, stale_nan(), time_ms, &mut write);
        }
        write
    }

    fn report(&self, name: &str, value: f64, time_ms: i64, write: &mut MetricWrite) {
        let mut pairs: Vec<(&str, &str)> = self.target.labels.iter().collect();
        pairs.push(("__name__", name));
        let series = write.series.push(&mut pairs);
        write.samples.push((series, time_ms, value));
    }

    /// Forgets series that this round did not see, with a marker for each that ends.
    fn end_unseen(&mut self, time_ms: i64, write: &mut MetricWrite) {
        let round = self.round;
        let mut ended: Vec<Labels> = Vec::new();
        self.known.retain(|_, known| {
            let seen = known.round == round;
            if let (false, true, Some(labels)) = (seen, known.ends, &known.labels) {
                ended.push(labels.clone());
            }
            seen
        });
        ended.sort();
        for labels in ended {
            let series = write.series.push_set(labels.as_ref());
            write.samples.push((series, time_ms, stale_nan()));
        }
    }

    fn parse(&mut self, fetched: &Fetched, start_ms: i64) -> Result<Scraped, String> {
        let limit = self.job.config.body_size_limit.0;
        if limit > 0 && fetched.body.len() as u64 > limit {
            return Err(format!("the body has {} bytes, more than body_size_limit {limit}", fetched.body.len()));
        }
        if fetched.body.is_empty() {
            // A target with nothing to say is up, whatever its format asks of a text.
            return Ok(Scraped::default());
        }
        let text = std::str::from_utf8(&fetched.body)
            .map_err(|e| format!("the body is not valid UTF-8 at byte {}", e.valid_up_to()))?;
        let mut scraped = Scraped::default();
        let mut problem = None;
        let mut families = ahash::HashMap::<String, Metadata>::default();
        let format = Format::from_content_type(&fetched.content_type);
        let result = parse(text, format, |item| match item {
            Item::Sample(row) if problem.is_none() => problem = self.row(row, start_ms, &mut scraped).err(),
            Item::Sample(_) => {}
            Item::Kind { family, kind } => families.entry(family.into_owned()).or_default().kind = kind,
            Item::Help { family, text } => families.entry(family.into_owned()).or_default().help = text,
            Item::Unit { family, unit } => families.entry(family.into_owned()).or_default().unit = unit.to_owned(),
        });
        result.map_err(|e| e.to_string())?;
        if let Some(problem) = problem {
            return Err(problem);
        }
        let mut families: Vec<_> = families.into_iter().collect();
        families.sort();
        for (family, metadata) in families {
            if self.metadata.get(&family) != Some(&metadata) {
                self.metadata.insert(family.clone(), metadata.clone());
                scraped.write.metadata.push((family, metadata));
            }
        }
        Ok(scraped)
    }

    fn row(&mut self, row: &Row<'_>, start_ms: i64, scraped: &mut Scraped) -> Result<(), String> {
        scraped.samples += 1;
        let config = &self.job.config;
        let mut exposed = LabelArena::default();
        let mut pairs: Vec<(&str, &str)> = row.labels.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
        pairs.push(("__name__", row.name.as_ref()));
        let index = exposed.push(&mut pairs);
        let key = exposed.get(index);
        let own_time_ms = row.time_ms.filter(|_| config.honor_timestamps);
        if !self.known.contains_key(key.as_bytes()) {
            let labels = self.final_labels(row)?;
            scraped.series_added += usize::from(labels.is_some());
            self.known
                .insert(key.to_labels(), Known { labels, born: self.round, round: 0, ends: true, exemplar: None });
        }
        let Some(known) = self.known.get_mut(key.as_bytes()) else { return Ok(()) };
        let again = known.round == self.round;
        known.round = self.round;
        known.ends = own_time_ms.is_none() || config.track_timestamps_staleness;
        let Some(labels) = &known.labels else { return Ok(()) };
        scraped.samples_kept += 1;
        if again && own_time_ms.is_none() {
            scraped.duplicates += 1;
            return Ok(());
        }
        if config.sample_limit > 0 && scraped.samples_kept > config.sample_limit {
            return Err(format!("more samples than sample_limit {}", config.sample_limit));
        }
        let series = scraped.write.series.push_set(labels.as_ref());
        let time_ms = own_time_ms.unwrap_or(start_ms);
        scraped.write.samples.push((series, time_ms, row.value));
        if let Some(exemplar) = &row.exemplar {
            let found = (exemplar_labels(exemplar), exemplar.value.to_bits(), exemplar.time_ms);
            // Targets show an exemplar until they have a newer one.
            if known.exemplar.as_ref() != Some(&found) {
                let time_ms = exemplar.time_ms.unwrap_or(time_ms);
                let (labels, value) = (found.0.clone(), exemplar.value);
                scraped.write.exemplars.push((series, Exemplar { labels, time_ms, value }));
                known.exemplar = Some(found);
            }
        }
        Ok(())
    }

    /// Exposed labels joined with the target's and relabelled; `None` when a rule drops the series.
    fn final_labels(&self, row: &Row<'_>) -> Result<Option<Labels>, String> {
        let config = &self.job.config;
        let mut labels: LabelMap = row.labels.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        labels.insert("__name__".to_owned(), row.name.to_string());
        labels.retain(|_, value| !value.is_empty());
        let mut conflicts = Vec::new();
        for (name, value) in self.target.labels.iter() {
            match labels.get(name) {
                Some(_) if config.honor_labels => {}
                Some(theirs) => {
                    conflicts.push((name.to_owned(), theirs.clone()));
                    labels.insert(name.to_owned(), value.to_owned());
                }
                None => {
                    labels.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        conflicts.sort_by_key(|(name, _)| name.len());
        for (name, value) in conflicts {
            let mut name = format!("exported_{name}");
            while labels.contains_key(&name) {
                name.insert_str(0, "exported_");
            }
            labels.insert(name, value);
        }
        if !self.job.metric_relabel.apply(&mut labels) {
            return Ok(None);
        }
        let over = |limit: usize, found: usize| limit > 0 && found > limit;
        if over(config.label_limit, labels.len()) {
            return Err(format!(
                "a series of {} has {} labels, more than label_limit {}",
                row.name,
                labels.len(),
                config.label_limit
            ));
        }
        for (name, value) in &labels {
            if over(config.label_name_length_limit, name.len()) || over(config.label_value_length_limit, value.len()) {
                return Err(format!("label {name:?} of {} is longer than the job's length limits", row.name));
            }
        }
        if !labels.contains_key("__name__") {
            return Err(format!("metric_relabel_configs left a series of {} without a name", row.name));
        }
        Ok(Some(Labels::from_pairs(labels)))
    }
}

fn exemplar_labels(row: &ExemplarRow<'_>) -> Labels {
    Labels::from_pairs(row.labels.iter().map(|(n, v)| (n.as_ref(), v.as_ref())))
}
