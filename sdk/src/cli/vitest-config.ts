/** The vitest settings of a project that has none of its own. A test that compiles the plugin takes a second or two. */
export default {
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
};
