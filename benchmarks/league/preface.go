package league

const preface = "x\n"
