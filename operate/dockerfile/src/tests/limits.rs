//! Large and deep files.

use crate::*;

/// The largest files that are read at all, in the shapes that are dear: each is answered in a moment.
#[test]
fn large_and_deep_files_are_answered() {
    let fill = |piece: &str, tail: &str| {
        format!("FROM debian:12\n{}{tail}", piece.repeat((FILE_BYTES_MAX - 64) / piece.len()))
    };
    let many = |piece: &str| format!("FROM debian:12\n{}", piece.repeat(INSTRUCTIONS_MAX - 2));
    let shapes = [
        fill("RUN a && \\\n", "\n"),
        format!("FROM debian:12\nRUN {}", "a && ".repeat(200_000)),
        format!("FROM debian:12\nRUN {}", "$(".repeat(400_000)),
        format!("FROM debian:12\nRUN {}", "`a` ".repeat(200_000)),
        format!("FROM debian:12\nRUN {}", "\"$(a)\" | ".repeat(100_000)),
        format!("FROM debian:12\nRUN {}", "( ".repeat(500_000)),
        format!("FROM debian:12\nENV A={}", "${A:-".repeat(150_000)),
        format!("FROM debian:12\nENV {}", "A=$A ".repeat(200_000)),
        format!("FROM debian:12\nLABEL {}", "A=$B ".repeat(200_000)),
        format!("FROM debian:12\nCOPY {} /x", "a.tar ".repeat(150_000)),
        format!("FROM debian:12\nRUN {}", "<<A ".repeat(200_000)),
        fill("# c\n", "ARG A\n"),
        fill("# apm ignore=AD0001\n", "RUN true\n"),
        fill("\n", ""),
        many("RUN curl x | sh\n"),
        "FROM a AS a\nARG A\n".repeat(STAGES_MAX),
        many("ARG A=1\n"),
        many("COPY --from=b a b\n"),
        many("ENV A=$A$A$A$A\n"),
        "FROM debian:12 AS x\nCOPY --from=x a b\n".repeat(STAGES_MAX),
        many("RUN cd /a; apt-get update\n"),
        many("VOLUME /a\n"),
        format!("FROM debian:12\nCOPY {} /x", "\u{e9} ".repeat(200_000)),
    ];
    for text in shapes {
        let shown: String = text.chars().skip(15).take(30).collect();
        assert!(text.len() <= FILE_BYTES_MAX, "{shown}: {}", text.len());
        assert_eq!(Dockerfile::parse(&text).print(), text);
        #[expect(clippy::disallowed_methods, reason = "the test is about time")]
        let start = std::time::Instant::now();
        let checked = check(&text, &Options::default()).map(|checked| checked.findings.len());
        let seconds = start.elapsed().as_secs_f64();
        println!("{seconds:.2} s for {shown:?}: {checked:?}");
        assert!(checked.is_ok_and(|count| count <= FINDINGS_MAX), "{shown}");
        // A debug build on a busy machine; what is quadratic takes minutes.
        assert!(seconds < 20.0, "{seconds} s for {shown:?}");
    }
    let stages = "FROM a\n".repeat(STAGES_MAX + 1);
    assert_eq!(check(&stages, &Options::default()).unwrap_err(), Refused::TooManyStages { count: STAGES_MAX + 1 });
    let huge = "RUN true\n".repeat(10 << 17);
    assert_eq!(check(&huge, &Options::default()).unwrap_err(), Refused::TooLarge { bytes: huge.len() });
    let long = "RUN true\n".repeat(INSTRUCTIONS_MAX + 1);
    assert_eq!(
        check(&long, &Options::default()).unwrap_err(),
        Refused::TooManyInstructions { count: INSTRUCTIONS_MAX + 1 }
    );
}
