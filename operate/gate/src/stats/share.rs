//! How sure a share can be. Knows no errors and no requests.

/// Wilson's interval of a share of `count`, `z` standard deviations to each side (Journal of the American Statistical Association 22, 1927).
pub(crate) fn wilson(share: f64, count: f64, z: f64) -> (f64, f64) {
    let z2 = z * z;
    let middle = (share + z2 / (2.0 * count)) / (1.0 + z2 / count);
    let half = z / (1.0 + z2 / count) * (share * (1.0 - share) / count + z2 / (4.0 * count * count)).sqrt();
    (middle - half, middle + half)
}
