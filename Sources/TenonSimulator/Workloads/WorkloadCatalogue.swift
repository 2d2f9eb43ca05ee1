/// The workloads by their names: a new one is a file and a line here.
package enum WorkloadCatalogue {
    package static let names = all.map(\.name)

    /// The workload with this name; nil when there is none.
    package static func make(_ name: String, _ parameters: WorkloadParameters) -> (any Workload)? {
        all.first { $0.name == name }?.make(parameters)
    }

    private static let all: [(name: String, make: @Sendable (WorkloadParameters) -> any Workload)] =
        [
            (RegisterScript.name, { ScriptedWorkload<RegisterScript>($0) }),
            (CounterScript.name, { ScriptedWorkload<CounterScript>($0) }),
            (ScanScript.name, { ScriptedWorkload<ScanScript>($0) }),
            (TransactionScript.name, { ScriptedWorkload<TransactionScript>($0) }),
            (BankScript.name, { ScriptedWorkload<BankScript>($0) }),
            (SessionWorkload.name, { SessionWorkload($0) }),
        ]
}
