//! `cargo xtask tidy`: house rules that no compiler checks. Each rule is a function from the files to sentences that name the remedy. It knows files
//! as text, not the product.

mod codes;
mod files;
pub(crate) mod lengths;
mod links;
mod manifests;
mod text;

use crate::sh;

/// Prints every breach and fails if there is one.
pub(crate) fn run(_: &[String]) -> sh::Outcome {
    let problems = problems()?;
    if problems.is_empty() { Ok(()) } else { Err(format!("{} problem(s)\n{}", problems.len(), problems.join("\n"))) }
}

fn problems() -> sh::Outcome<Vec<String>> {
    let files = files::all()?;
    let mut problems = text::problems(&files);
    problems.extend(manifests::problems(&files));
    problems.extend(lengths::problems(&files)?);
    problems.extend(links::problems(&files));
    problems.extend(codes::problems(&files));
    problems.sort();
    Ok(problems)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_repository_is_tidy() {
        let problems = super::problems().expect("the repository can be read");
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
