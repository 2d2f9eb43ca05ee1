import Foundation

/// The one place of the tests that asks again and again: for what happens in other processes,
/// which nobody can await.
enum Eventually {
    /// Returns as soon as `condition` holds; false when it does not by the deadline.
    static func holds(
        within limit: Duration = .seconds(30), _ condition: () async throws -> Bool
    ) async rethrows -> Bool {
        let deadline = ContinuousClock.now + limit
        while true {
            if try await condition() { return true }
            guard ContinuousClock.now < deadline else { return false }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }
}
