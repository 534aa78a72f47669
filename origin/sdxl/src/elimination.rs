//! Systems of linear equations, of a handful of unknowns.

/// Solves them by elimination. Each row holds an equation's factors, as many as there are rows, and
/// then its right sides; the answer has a row for each unknown, a number for each right side. An
/// unknown that no equation decides is 0.
pub(crate) fn solve(mut rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let n = rows.len();
    for i in 0..n {
        let pivot = (i..n).max_by(|a, b| rows[*a][i].abs().total_cmp(&rows[*b][i].abs()));
        rows.swap(i, pivot.unwrap_or(i));
        let pivot = rows[i].clone();
        if pivot[i] == 0.0 {
            continue;
        }
        for (j, row) in rows.iter_mut().enumerate() {
            if j != i {
                let factor = row[i] / pivot[i];
                let pairs = row.iter_mut().zip(&pivot);
                pairs.for_each(|(x, p)| *x -= factor * p);
            }
        }
    }
    let answer = |(i, row): (usize, Vec<f64>)| {
        let (factors, sides) = row.split_at(n);
        let factor = factors[i];
        let unknown = |side: &f64| if factor == 0.0 { 0.0 } else { side / factor };
        sides.iter().map(unknown).collect()
    };
    rows.into_iter().enumerate().map(answer).collect()
}

#[cfg(test)]
mod tests {
    use super::solve;

    #[test]
    fn equations_are_met() {
        // x + 2y = 5 and 3x + 4y = 11; once more with other right sides.
        let answer = solve(vec![vec![1.0, 2.0, 5.0, 3.0], vec![3.0, 4.0, 11.0, 7.0]]);
        let expected = [[1.0, 1.0], [2.0, 1.0]];
        for (row, expected) in answer.iter().zip(expected) {
            for (found, expected) in row.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{answer:?}");
            }
        }
        // One equation twice decides one unknown.
        let twice = solve(vec![vec![1.0, 1.0, 2.0], vec![1.0, 1.0, 2.0]]);
        assert!(twice.iter().flatten().all(|x| x.is_finite()), "{twice:?}");
    }
}
