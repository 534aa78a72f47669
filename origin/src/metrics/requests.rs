//! Requests, by route: never by path, which holds ids, and of which there is no end.

use std::time::Duration;

use darkroom_shared::problem::Code;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Methods that have a series of their own: anybody can make others up.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

type Labels = [(&'static str, String); 3];
type Route = [(&'static str, String); 1];

/// What is counted and measured of requests.
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    answered: Family<Labels, Counter>,
    problems: Family<[(&'static str, &'static str); 1], Counter>,
    time: Family<Route, Histogram, fn() -> Histogram>,
}

impl RequestMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            answered: Family::default(),
            problems: Family::default(),
            // 1 ms to 65 s: a waiting call is answered after a minute.
            time: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 4.0, 9))
            }),
        };
        let answered = "Answers, by method, route and status";
        registry.register("http_requests", answered, metrics.answered.clone());
        let problems = "Answers that were a problem, by its code";
        registry.register("http_problems", problems, metrics.problems.clone());
        let time = "From a request to its answer's headers";
        registry.register_with_unit("http_request", time, Unit::Seconds, metrics.time.clone());
        metrics
    }

    /// A request was answered. `route` is what it matched, if anything.
    pub fn answered(&self, method: &str, route: Option<&str>, status: u16, time: Duration) {
        let named = METHODS.into_iter().find(|known| *known == method);
        let route = route.unwrap_or("none").to_owned();
        let labels = [
            ("method", named.unwrap_or("other").to_owned()),
            ("route", route.clone()),
            ("status", status.to_string()),
        ];
        self.answered.get_or_create(&labels).inc();
        self.time
            .get_or_create(&[("route", route)])
            .observe(time.as_secs_f64());
    }

    /// An answer was a problem.
    pub fn problem(&self, code: Code) {
        self.problems
            .get_or_create(&[("code", code.as_str())])
            .inc();
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;
    use std::time::Duration;

    #[test]
    fn made_up_methods_and_paths_share_one_series() {
        let metrics = Metrics::default();
        for method in ["BREW", "STIR"] {
            let time = Duration::from_millis(1);
            metrics.requests.answered(method, None, 404, time);
        }
        let text = metrics.text().expect("text");
        let line = r#"darkroom_http_requests_total{method="other",route="none",status="404"} 2"#;
        assert!(text.contains(line), "{text}");
    }
}
