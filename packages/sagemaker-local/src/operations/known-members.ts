/** The members that a schema names, without those that it lets through. */
export type Known<Input> = {
  [Name in keyof Input as string extends Name ? never : Name]: Input[Name]
}
