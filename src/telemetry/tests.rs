use super::*;

fn shown(text: &str, line: &str) -> bool {
    text.lines().any(|shown| shown == line)
}

#[test]
fn a_scrape_shows_what_was_counted_under_the_promised_names() {
    let telemetry = Telemetry::new();
    telemetry.operation("PutRecord").answered(200, Duration::from_micros(70));
    telemetry.operation("PutRecord").answered(418, Duration::from_millis(3));
    telemetry.for_stream("s").accepted(3, 1200);
    telemetry.delivery("s", "s3").to_error_output("processing-failed", 2);
    let delivery = telemetry.delivery("s", "S3");
    delivery.delivered(3, 900, 1);
    delivery.failed("S3.AccessDenied");
    delivery.possible_duplicate();
    delivery.spool_rewritten(11);
    telemetry.log_synced(Duration::from_mins(1));
    telemetry.read_levels_with(|| Levels {
        streams: vec![StreamLevels {
            stream: "s".into(),
            log_bytes: 7,
            log_writable: true,
            quarantined_bytes: 4,
            cursors: vec![CursorLevels {
                cursor: "main",
                waiting_bytes: 5,
                oldest_waiting: Duration::from_millis(1500),
            }],
        }],
        streams_damaged: 2,
        delivery_memory_bytes: 8,
    });
    let text = telemetry.render();
    for line in [
        "hydrant_requests_total{operation=\"PutRecord\",status=\"200\"} 1",
        "hydrant_requests_total{operation=\"PutRecord\",status=\"418\"} 1",
        "hydrant_request_seconds_bucket{operation=\"PutRecord\",le=\"0.0001\"} 1",
        "hydrant_request_seconds_bucket{operation=\"PutRecord\",le=\"30\"} 2",
        "hydrant_records_in_total{stream=\"s\"} 3",
        "hydrant_bytes_in_total{stream=\"s\"} 1200",
        "hydrant_log_sync_seconds_bucket{le=\"30\"} 0",
        "hydrant_log_sync_seconds_count 1",
        "hydrant_log_bytes{stream=\"s\"} 7",
        "hydrant_log_writable{stream=\"s\"} 1",
        "hydrant_waiting_bytes{cursor=\"main\",stream=\"s\"} 5",
        "hydrant_oldest_waiting_seconds{cursor=\"main\",stream=\"s\"} 1.5",
        "hydrant_delivered_records_total{destination=\"S3\",stream=\"s\"} 3",
        "hydrant_delivered_bytes_total{destination=\"S3\",stream=\"s\"} 900",
        "hydrant_delivered_objects_total{destination=\"S3\",stream=\"s\"} 1",
        "hydrant_delivery_failures_total{code=\"S3.AccessDenied\",destination=\"S3\",stream=\"s\"} 1",
        "hydrant_possible_duplicates_total{destination=\"S3\",stream=\"s\"} 1",
        "hydrant_error_output_records_total{stream=\"s\",type=\"processing-failed\"} 2",
        "hydrant_spool_rewritten_bytes_total{stream=\"s\"} 11",
        "hydrant_quarantined_bytes_total{stream=\"s\"} 4",
        "# TYPE hydrant_quarantined_bytes_total counter",
        "hydrant_streams_damaged 2",
        "hydrant_delivery_memory_bytes 8",
    ] {
        assert!(shown(&text, line), "{line} is missing in\n{text}");
    }
}

#[test]
fn a_scrape_shows_the_process_under_the_usual_names() {
    let text = Telemetry::new().render();
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
        "process_threads",
    ] {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        assert!(value.is_some_and(|value| value > 0.0), "{name} is {value:?} in\n{text}");
    }
}

#[test]
fn nothing_of_a_stream_stays_when_it_goes_and_late_failures_do_not_bring_it_back() {
    let telemetry = Telemetry::new();
    let (stream, delivery) = (telemetry.for_stream("gone"), telemetry.delivery("gone", "S3"));
    telemetry.for_stream("stays").accepted(1, 1);
    let count = || {
        stream.accepted(1, 1);
        delivery.to_error_output("t", 1);
        delivery.delivered(1, 1, 1);
        delivery.failed("code");
        delivery.possible_duplicate();
        delivery.possible_loss();
        delivery.spool_rewritten(1);
    };
    count();
    assert_eq!(telemetry.render().matches("stream=\"gone\"").count(), 10);
    telemetry.forget_stream("gone");
    count();
    let text = telemetry.render();
    assert!(!text.contains("\"gone\""), "{text}");
    assert!(shown(&text, "hydrant_records_in_total{stream=\"stays\"} 1"));
}

#[test]
fn codes_beyond_the_bound_are_counted_together() {
    let telemetry = Telemetry::new();
    let delivery = telemetry.delivery("s", "HTTP");
    for code in 0..MAX_CODES + 3 {
        delivery.failed(&format!("code-{code}"));
        delivery.failed("code-0");
    }
    let text = telemetry.render();
    assert_eq!(text.matches("hydrant_delivery_failures_total{").count(), MAX_CODES + 1);
    assert!(
        shown(&text, "hydrant_delivery_failures_total{code=\"Other\",destination=\"HTTP\",stream=\"s\"} 3"),
        "{text}"
    );
    let first = format!("{{code=\"code-0\",destination=\"HTTP\",stream=\"s\"}} {}", MAX_CODES + 4);
    assert!(text.contains(&first), "{text}");
}
