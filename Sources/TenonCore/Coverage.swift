/// Marks a rare branch: a simulator's sweep lists the marks that no run has reached.
///
/// Costs nothing in ordinary builds. With the trait `InvariantChecks` the marks reached by this
/// thread's run are counted by ``Coverage``.
@inline(__always)
package func reached(_ mark: StaticString) {}
