/// The workloads that a scenario can name. A new one is a file in `Workloads/` and a line here.
package enum WorkloadCatalogue {
    /// The names, in the order in which reports list them.
    package static let names = makers.map(\.name)

    /// Those that fit any scenario.
    package static let general = names.filter { $0 != StaleWorkload.name }

    /// A workload of that name; nil when there is none.
    package static func make(_ name: String, _ parameters: WorkloadParameters) -> (any Workload)? {
        makers.first { $0.name == name }?.make(parameters)
    }

    private typealias Maker = @Sendable (WorkloadParameters) -> any Workload

    private static let makers: [(name: String, make: Maker)] = [
        (RegisterScript.name, { ScriptedWorkload<RegisterScript>($0) }),
        (CounterScript.name, { ScriptedWorkload<CounterScript>($0) }),
        (ScanScript.name, { ScriptedWorkload<ScanScript>($0) }),
        (TransactionScript.name, { ScriptedWorkload<TransactionScript>($0) }),
        (BankScript.name, { ScriptedWorkload<BankScript>($0) }),
        (SessionWorkload.name, { SessionWorkload($0) }),
        (StaleWorkload.name, { StaleWorkload($0) }),
    ]
}
