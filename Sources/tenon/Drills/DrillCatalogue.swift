/// How a fault is injected into a process.
enum Injection: String, Codable, CaseIterable, Sendable {
    /// SIGKILL: the kernel resets the connections, so peers and clients hear of it at once.
    case kill
    /// SIGSTOP, and SIGKILL when the round ends: nobody hears anything, as from a lost host; but
    /// the kernel still acknowledges what arrives.
    case silence
    /// SIGSTOP, and SIGCONT after a while: a stalled virtual machine.
    case pause
    /// No fault: leadership is handed over as before planned work.
    case drain
}

/// Whom a fault meets.
enum FaultTarget: String, Codable, Sendable {
    /// The node that leads most tablets.
    case leader
    case follower
    /// All nodes within milliseconds; they are started again at once.
    case all
}

/// One fault under load, and what is measured of it.
struct PlannedRound: Hashable, Sendable {
    var injection: Injection
    var target: FaultTarget
}

/// A scripted fault under load with a measured report.
struct Scenario: Sendable {
    var name: String
    /// One line for `tenon drill list`.
    var summary: String
    /// The injections that a full run covers.
    var injections: [Injection]
    /// Whom the counted rounds meet; then come one round for each of the others.
    var others: [FaultTarget]
    /// `passed` asks for a longest gap below this.
    var gapBoundSeconds: Double

    static let all = [leaderKill, leaderPause, leaderDrain]

    static let leaderKill = Scenario(
        name: "leader-kill",
        summary: "end the leader, then a follower, then all nodes at once (kill -9 and silence)",
        injections: [.kill, .silence], others: [.follower, .all], gapBoundSeconds: 8)

    static let leaderPause = Scenario(
        name: "leader-pause",
        summary: "stop the leader with SIGSTOP for 10 s, then let it run on",
        injections: [.pause], others: [], gapBoundSeconds: 8)

    static let leaderDrain = Scenario(
        name: "leader-drain",
        summary: "hand the leadership of every tablet over, as before planned work",
        injections: [.drain], others: [], gapBoundSeconds: 0.5)

    static func named(_ name: String) -> Scenario? { all.first { $0.name == name } }

    /// The rounds of a run: for each injection `count` against the leader, then the others.
    func rounds(_ count: Int, injections: [Injection]) -> [PlannedRound] {
        injections.flatMap { injection in
            Array(repeating: PlannedRound(injection: injection, target: .leader), count: count)
                + others.map { PlannedRound(injection: injection, target: $0) }
        }
    }
}
