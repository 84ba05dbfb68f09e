//! Rules about base images: which version, whose, for which platform.

use super::Context;
use crate::expand::expand;
use crate::finding::{Edit, Findings};
use crate::image::{DOCKER_HUB, Image};
use crate::stage::{Base, PLATFORM_ARGUMENTS, Role, candidates};
use crate::syntax::{Flag, Kind};

pub(super) fn check(context: &Context<'_>, found: &mut Findings) {
    for stage in &context.stages.list {
        let Some(from) = context.file.instructions.get(stage.from) else { continue };
        let Some(word) = from.words.first() else { continue };
        if stage.role == Role::Unused && context.stages.list.len() > 1 {
            continue;
        }
        let global = &context.stages.global;
        let expanded = expand(&word.raw, global, context.file.escape);
        let undefined = expanded.uses.iter().find(|one| !one.has_default && !global.has(&one.name));
        if let Some(one) = undefined {
            found.add("AD0107", word.span, format!("`{}` is not declared before the first FROM", one.name));
        } else if !expanded.uses.is_empty() && expanded.text.as_deref().is_none_or(|text| !is_reference(text)) {
            let what = match &expanded.text {
                Some(text) => format!("without build arguments the image is `{text}`, which is no name of an image"),
                None => "without build arguments the image has no name".to_owned(),
            };
            let by_platform = expanded.uses.iter().any(|one| PLATFORM_ARGUMENTS.contains(&one.name.as_str()));
            let visible = context.stages.list.get(..stage.index).unwrap_or(&[]);
            if !by_platform {
                found.add("AD0108", word.span, what);
            } else if candidates(visible, &word.raw).next().is_none() {
                found.add("AD0110", word.span, "it depends on the platform, and no stage above is meant");
            }
        }
        if let Some(flag) = from.flag("platform") {
            platform(context, flag, found);
        }
        if let Base::Image(image) = &stage.base
            && is_reference_of(image)
        {
            version(image, word.span, stage.role, found);
            registry(context, image, word.span, found);
        }
    }
    for step in context.steps.iter().filter(|step| step.is_built()) {
        let Some(stage) = step.stage else { continue };
        let visible = context.stages.list.get(..stage.index).unwrap_or(&[]);
        for flag in &step.it.flags {
            let from = match flag.name.as_str() {
                "from" if step.is(Kind::Copy) => flag.value.as_deref(),
                "mount" => flag.part("from"),
                _ => None,
            };
            let Some(name) = from.filter(|name| crate::stage::find(visible, name).is_none() && looks_like_image(name))
            else {
                continue;
            };
            let image = Image::parse(name);
            registry(context, &image, flag.span, found);
            if image.digest.is_none() && image.tag.as_deref().is_none_or(|tag| tag == "latest") {
                found.add("AD0213", flag.span, format!("`{name}` has no version"));
            }
        }
    }
}

pub(super) fn looks_like_image(name: &str) -> bool {
    name.contains(['/', ':', '@']) && !name.contains('$')
}

fn is_reference(text: &str) -> bool {
    is_reference_of(&Image::parse(text))
}

fn is_reference_of(image: &Image) -> bool {
    let name = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '/'))
            && !text.starts_with(['-', '.', '/', '_'])
            && !text.ends_with(['-', '.', '/', '_'])
    };
    let tag = |text: &String| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
            && !text.starts_with(['.', '-'])
    };
    name(&image.repository)
        && image.tag.as_ref().is_none_or(tag)
        && image.digest.as_ref().is_none_or(|digest| digest.contains(':'))
}

fn version(image: &Image, span: base_explain::Span, role: Role, found: &mut Findings) {
    if image.digest.is_some() {
        return ended(image, span, found);
    }
    match image.tag.as_deref() {
        None => {
            found.add("AD0101", span, format!("`{}` has no tag", image.repository));
        }
        Some("latest") => {
            found.add("AD0102", span, format!("`{}` is whatever is newest on the day of the build", image.repository));
        }
        Some(_) => {
            if role == Role::Ships {
                found.add("AD0103", span, "the tag can be moved to another image");
            }
            ended(image, span, found);
        }
    }
}

/// Releases whose makers no longer mend them, as known at the end of 2025: image, versions below which (or named releases).
const ENDED: &[(&str, &[u32], &[&str])] = &[
    ("alpine", &[3, 19], &[]),
    ("debian", &[11], &["buster", "stretch", "jessie", "wheezy"]),
    ("ubuntu", &[22, 4], &["focal", "bionic", "xenial", "trusty", "artful", "cosmic", "disco", "eoan"]),
    ("centos", &[9999], &["centos5", "centos6", "centos7", "centos8"]),
    ("fedora", &[41], &[]),
    ("python", &[3, 10], &[]),
    ("node", &[20], &["carbon", "dubnium", "erbium", "fermium", "gallium", "hydrogen", "argon", "boron"]),
    ("golang", &[1, 24], &[]),
    ("ruby", &[3, 2], &[]),
    ("php", &[8, 1], &[]),
    ("openjdk", &[9999], &[]),
    ("postgres", &[13], &[]),
    ("mysql", &[8], &[]),
];

fn ended(image: &Image, span: base_explain::Span, found: &mut Findings) {
    let Some(tag) = image.tag.as_deref() else { return };
    if image.registry != DOCKER_HUB {
        return;
    }
    let Some((name, below, named)) = ENDED.iter().find(|(name, _, _)| *name == image.repository) else { return };
    let numbers: Vec<u32> = tag.split(['.', '-']).map_while(|part| part.parse().ok()).collect();
    let is_named = tag.split('-').any(|part| named.contains(&part));
    // `3` alone is the newest 3: only what is written is compared.
    let shorter = numbers.len().min(below.len());
    let is_old = !numbers.is_empty() && numbers.get(..shorter) < below.get(..shorter);
    if is_named || is_old {
        found.add("AD0109", span, format!("{name} {tag} gets no fixes any more"));
    }
}

fn registry(context: &Context<'_>, image: &Image, span: base_explain::Span, found: &mut Findings) {
    let allowed = &context.options.allowed_registries;
    let fits = |one: &String| {
        let bare = one.trim_end_matches('/');
        bare == image.registry
            || crate::expand::glob(bare, &image.registry)
            || format!("{}/{}", image.registry, image.repository).starts_with(&format!("{bare}/"))
    };
    if !allowed.is_empty() && !allowed.iter().any(fits) {
        found.add("AD0104", span, format!("{} is none of the allowed registries", image.registry));
    }
}

fn platform(context: &Context<'_>, flag: &Flag, found: &mut Findings) {
    let Some(value) = flag.value.as_deref() else { return };
    if matches!(value, "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
        // The blank after it goes too.
        let rest = context.file.text.get(flag.span.end..).unwrap_or("");
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let span = base_explain::Span::new(flag.span.start, flag.span.end + blanks);
        found.add("AD0106", flag.span, "this is the default").safe("leave the flag out", vec![Edit::new(span, "")]);
    } else if !value.contains('$') {
        found.add("AD0105", flag.span, format!("the stage is always built for {value}"));
    }
}
