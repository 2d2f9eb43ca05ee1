import Testing

@Suite("The mask over comments and strings")
struct CodeMaskTests {
    @Test("Comments and strings are blank, code and columns stay")
    func masks() {
        let source = #"""
            let a = "print(1)" // Task {
            /* Double /* nested */ Float */ let b = 1
            let c = "a \" b" + x
            """#
        let masked = CodeMask.mask(source)
        #expect(masked.count == source.count)
        #expect(!masked.contains("print") && !masked.contains("Task"))
        #expect(!masked.contains("Double") && !masked.contains("Float"))
        #expect(masked.contains("let b = 1") && masked.contains("+ x"))
    }

    @Test("Strings of several lines and raw strings are blank")
    func longStrings() {
        let quotes = "\"\"\""
        let source = "let a = \(quotes)\n  try!\n\(quotes)\nlet b = #\"as! \" try!\"#\nlet c = 2"
        let masked = CodeMask.mask(source)
        #expect(!masked.contains("try!") && !masked.contains("as!"))
        #expect(masked.contains("let b = ") && masked.contains("let c = 2"))
    }
}
