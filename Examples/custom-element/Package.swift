// swift-tools-version: 6.2
import PackageDescription

// A package of its own: it depends on Spillway as any user's package does, only by path instead of by version.
let package = Package(
    name: "custom-element",
    dependencies: [.package(name: "spillway", path: "../..")],
    targets: [
        .executableTarget(
            name: "custom-spillway",
            dependencies: [
                .product(name: "Spillway", package: "spillway"),
                .product(name: "SpillwayCommand", package: "spillway"),
            ],
            // Collects the elements of this target, and the words of their doc comments, as `Catalog.own`.
            plugins: [.plugin(name: "CatalogPlugin", package: "spillway")]
        ),
        .testTarget(
            name: "custom-spillwayTests",
            dependencies: ["custom-spillway", .product(name: "SpillwayTesting", package: "spillway")]
        ),
    ]
)
