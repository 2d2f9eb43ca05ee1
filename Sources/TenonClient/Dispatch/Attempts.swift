internal import TenonCore
internal import TenonWire

/// How one call is retried: what was tried, what each failure means, and when to try again.
///
/// Knows no socket and no clock; ``Dispatch`` asks it after each failed attempt.
struct Attempts {
    /// What to do next.
    enum Decision: Hashable {
        /// Try again at once: the refusal named the leader.
        case again
        /// Try again after a pause.
        case pause(TimeSpan)
        /// As ``pause``, and ask for the directory meanwhile: the route was wrong.
        case reroute(TimeSpan)
        /// Tell the caller.
        case fail(TenonError)
    }

    /// How many redirections in a row are followed without a pause: two nodes that name each
    /// other must not make a loop of it.
    static let redirectionsMax = 3

    let isWrite: Bool
    /// Whether some attempt of a write was sent and never definitely refused. Stays: no later
    /// refusal says anything about an attempt that was lost.
    private(set) var mayHaveBeenApplied = false
    private var pauses = 0
    private var redirections = 0
    /// What the last failed attempt met, for the message at the deadline.
    private(set) var lastProblem = "no node was reached"
    /// What a node said last: it knows more than a connection that was refused.
    private var lastAnswer: String?

    init(isWrite: Bool) { self.isWrite = isWrite }

    /// What an error at this point says of the outcome.
    var outcome: TenonError.Outcome { isWrite && mayHaveBeenApplied ? .unknown : .notApplied }

    /// The attempt was sent and its connection was lost, or went silent.
    mutating func lost(
        _ problem: String, pausing policy: PausePolicy, _ random: inout SeededGenerator
    )
        -> TimeSpan
    {
        mayHaveBeenApplied = mayHaveBeenApplied || isWrite
        lastProblem = problem
        return nextPause(policy, &random)
    }

    /// The attempt waits for others to find out more.
    mutating func held(_ problem: String) { lastProblem = problem }

    /// The attempt could not even be sent.
    mutating func unsent(
        _ problem: String, pausing policy: PausePolicy, _ random: inout SeededGenerator
    ) -> TimeSpan {
        lastProblem = problem
        return nextPause(policy, &random)
    }

    /// A node refused the attempt. `isLeaderKnown`: the refusal named another node to ask.
    mutating func refused(
        _ refusal: Refusal, isLeaderKnown: Bool, pausing policy: PausePolicy,
        _ random: inout SeededGenerator
    ) -> Decision {
        if refusal.isOutcomeUnknown { mayHaveBeenApplied = mayHaveBeenApplied || isWrite }
        lastProblem = refusal.message.isEmpty ? "\(refusal.reason)" : refusal.message
        lastAnswer = lastProblem
        switch refusal.reason {
        case .notLeader where isLeaderKnown && redirections < Attempts.redirectionsMax:
            redirections += 1
            return .again
        case .notLeader, .unavailable:
            return .pause(nextPause(policy, &random))
        case .overloaded:
            let asked = TimeSpan.milliseconds(Int(min(refusal.retryAfterMilliseconds, 10_000)))
            return .pause(max(policy.jittered(asked, &random), nextPause(policy, &random)))
        case .staleDescriptor, .wrongEpoch:
            return .reroute(nextPause(policy, &random))
        case .deadlinePassed: return .fail(error(.unavailable))
        case .invalid: return .fail(error(.invalid))
        case .tooLarge: return .fail(error(.tooLarge))
        case .diskFull: return .fail(error(.diskFull))
        case .historyGone: return .fail(error(.historyGone))
        case .denied: return .fail(error(.denied))
        }
    }

    /// The error of kind `kind` with the last problem as its message.
    func error(_ kind: TenonError.Kind) -> TenonError { TenonError(kind, outcome, lastProblem) }

    /// The error when the deadline passes; `isUnderWay`: an attempt is still unanswered.
    func expired(isUnderWay: Bool) -> TenonError {
        let outcome: TenonError.Outcome = isWrite && isUnderWay ? .unknown : self.outcome
        guard !isUnderWay else {
            return TenonError(.unavailable, outcome, "no answer before the deadline")
        }
        var message = "not possible before the deadline; the last attempt: \(lastProblem)"
        if let lastAnswer, lastAnswer != lastProblem {
            message += "; the last answer of a node: \(lastAnswer)"
        }
        return TenonError(.unavailable, outcome, message)
    }

    private mutating func nextPause(
        _ policy: PausePolicy, _ random: inout SeededGenerator
    ) -> TimeSpan {
        redirections = 0
        let pause = policy.pause(after: pauses, &random)
        pauses += 1
        return pause
    }
}

/// The pauses between retries: exponential, bounded, jittered.
struct PausePolicy: Hashable {
    var shortest: TimeSpan
    var longest: TimeSpan

    /// The pause after `failures` earlier ones: between a half and the whole of
    /// shortest · 2^failures, at most ``longest``.
    func pause(after failures: Int, _ random: inout SeededGenerator) -> TimeSpan {
        let doubled = shortest * (1 << min(failures, 20))
        return jittered(min(doubled, longest), &random)
    }

    /// Between a half and the whole of `span`, so that clients do not come back in step.
    func jittered(_ span: TimeSpan, _ random: inout SeededGenerator) -> TimeSpan {
        guard span.nanoseconds > 1 else { return span }
        let half = span.nanoseconds / 2
        return TimeSpan(nanoseconds: half + random.below(half + 1))
    }
}
