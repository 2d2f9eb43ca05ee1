internal import TenonCore

/// All that goes wrong in a run, and when: a value, so that a run can be replayed from a file and
/// shortened by leaving faults out.
package struct FaultSchedule: Hashable, Sendable {
    /// A fault and its time, in milliseconds since the load began.
    package struct Event: Hashable, Sendable {
        package var beginsAt: Int
        package var lasts: Int
        package var fault: Fault

        package init(beginsAt: Int, lasts: Int, _ fault: Fault) {
            self.beginsAt = beginsAt
            self.lasts = lasts
            self.fault = fault
        }

        package var endsAt: Int { beginsAt + lasts }
    }

    /// In the order of their beginning.
    package var events: [Event] = []

    package init(_ events: [Event] = []) { self.events = events }
}

/// A run that can be made again: what a failure leaves in a file.
///
/// ```
/// # any comment
/// scenario NAME
/// seed 42
/// fault 3500 1200 crash n2
/// fault 4100 800 cut 1>2 2>1 breaking
/// ```
package struct ReplayFile: Hashable, Sendable {
    package var scenario: String
    package var seed: UInt64
    package var schedule: FaultSchedule

    package init(scenario: String, seed: UInt64, schedule: FaultSchedule) {
        self.scenario = scenario
        self.seed = seed
        self.schedule = schedule
    }

    package var text: String {
        var lines = ["scenario \(scenario)", "seed \(seed)"]
        for event in schedule.events { lines.append("fault \(event)") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// - Throws: ``ReplayError`` with the line that cannot be read.
    package init(_ text: String) throws(ReplayError) {
        var scenario: String?
        var seed: UInt64?
        var events: [FaultSchedule.Event] = []
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: " ").map(String.init)
            switch words.first {
            case nil: continue
            case "scenario" where words.count == 2: scenario = words[1]
            case "seed" where words.count == 2: seed = UInt64(words[1])
            case "fault":
                guard let event = FaultSchedule.Event(words: words.dropFirst()) else {
                    throw ReplayError(problem: "not a fault: \(line)")
                }
                events.append(event)
            default: throw ReplayError(problem: "not a line of a replay: \(line)")
            }
        }
        guard let scenario, let seed else {
            throw ReplayError(problem: "a replay needs a scenario and a seed")
        }
        self.init(scenario: scenario, seed: seed, schedule: FaultSchedule(events))
    }
}

/// What cannot be read of a replay file.
package struct ReplayError: Error, Hashable, Sendable, CustomStringConvertible {
    package var problem: String
    package var description: String { problem }
}
