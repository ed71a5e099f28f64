use crate::trace::{CarbonTrace, DemandTrace, Factors, FlavourFile, Vintages};

/// Every refusal in one transcript: messages are part of the interface.
#[test]
fn refusals_name_the_file_the_place_and_what_would_be_right() {
    let mut said = String::new();
    let mut say = |message: String| {
        said.push_str(&message);
        said.push('\n');
    };
    for (factors, file) in [
        (Factors::Lifecycle, ""),
        (Factors::Lifecycle, "a,b\n1,2\n"),
        (Factors::Lifecycle, "timestamp,requests\n2026-01-01T00:00:00Z,5\n"),
        (Factors::Lifecycle, "issued_at,target_start,forecast\n"),
        (Factors::Direct, "Datetime (UTC),Carbon Intensity gCO2eq/kWh (LCA)\n"),
        (Factors::Lifecycle, "timestamp,actual\n"),
        (Factors::Lifecycle, "timestamp,actual\n\n2026-01-01T00:00:00Z,1e9\n1700-01-01T00:00:00Z,5\n"),
        (Factors::Lifecycle, "{\"data\":\n[1,"),
        (Factors::Lifecycle, "{\"data\":[]}"),
        (Factors::Lifecycle, "{}"),
        (Factors::Lifecycle, "{\"data\":[{\"data\":[]},{\"data\":[]}]}"),
        (Factors::Lifecycle, "{\"data\":[{\"regions\":[]}]}"),
        (Factors::Lifecycle, "{\"error\":{\"code\":\"400 Bad Request\",\"message\":\"no\"}}"),
        (Factors::Lifecycle, "\u{1f}\u{8b}\u{8}\u{0}binary"),
    ] {
        say(CarbonTrace::read("carbon", file.as_bytes(), factors).unwrap_err().to_string());
    }
    say(Vintages::read("forecast", b"timestamp,actual\n").unwrap_err().to_string());
    say(Vintages::read("forecast", b"issued_at,target_start,forecast\nx,y,z\n").unwrap_err().to_string());
    say(DemandTrace::read("demand", b"timestamp,actual\n").unwrap_err().to_string());
    for (family, file) in [
        (None, "[]"),
        (None, "{"),
        (None, "{}"),
        (None, r#"[{"precision": 0}, {"energyWh": -1}]"#),
        (None, r#"{"families": [{"family": "a"}, {"family": "b"}]}"#),
        (Some("c"), r#"{"families": [{"family": "a"}, {"family": "b"}]}"#),
        (Some("c"), r#"[{"precision": 1}]"#),
    ] {
        say(FlavourFile::read("flavours", file.as_bytes(), family).unwrap_err().to_string());
    }
    insta::assert_snapshot!(said);
}
