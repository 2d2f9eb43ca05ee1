package import TenonChecker
package import TenonCore

/// What became of one run.
package struct SimulationReport: Sendable {
    package var seed: UInt64
    package var scenario: String
    /// Everything that happened, in one number: equal seeds give equal numbers.
    package var trace: UInt64 = 0
    /// Calls of clients that ended, those that were answered, and those of unknown outcome.
    package var operations = 0
    package var answered = 0
    package var unknown = 0
    package var virtualTime = TimeSpan.zero
    /// Events of the simulation, and steps that were checked.
    package var events = 0
    package var steps = 0
    /// How often each kind of fault happened.
    package var faults: [(name: String, count: Int)] = []
    /// How often each rare branch of the engine was passed, those passed only.
    package var marks: [(mark: Mark, count: Int)] = []
    /// The first check that did not hold.
    package var failure: CheckFailure?
    /// The schedule that was run.
    package var schedule = FaultSchedule()
    /// What clients saw.
    package var history: [HistoryOperation] = []

    init(seed: UInt64, scenario: String) {
        self.seed = seed
        self.scenario = scenario
    }

    /// What a file needs to make this run again.
    package var replay: ReplayFile {
        ReplayFile(scenario: scenario, seed: seed, schedule: schedule)
    }
}
