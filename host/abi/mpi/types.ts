/** Imports: datatypes and operations. */
import { DERIVED_MAX } from "./datatypes.ts";
import { OPERATORS_MAX } from "./own-operators.ts";
import { NULL, type Ranks, SUCCESS } from "./rank.ts";

export const types = (ranks: Ranks) => ({
  "env.MPI_Type_contiguous": (count: number, type: number, pointer: number): number => {
    const rank = ranks.at("MPI_Type_contiguous");
    const store = rank.room("the new datatype", pointer);
    const made = rank.datatypes.contiguous(rank.count("the count", count), rank.datatype(type));
    if (made === null) {
      throw rank.fault(`there are ${DERIVED_MAX} datatypes, more there may not be`);
    }
    store(made);
    return SUCCESS;
  },

  "env.MPI_Type_commit": (pointer: number): number => {
    const rank = ranks.at("MPI_Type_commit");
    rank.datatype(rank.ints("the datatype", pointer, 1)[0] ?? NULL);
    return SUCCESS;
  },

  "env.MPI_Type_free": (pointer: number): number => {
    const rank = ranks.at("MPI_Type_free");
    const [type = NULL] = rank.ints("the datatype", pointer, 1);
    if (!rank.datatypes.free(type)) {
      throw rank.fault(`datatype ${type} is none that was made`);
    }
    rank.room("the datatype", pointer)(NULL);
    return SUCCESS;
  },

  "env.MPI_Type_size": (type: number, pointer: number): number => {
    const rank = ranks.at("MPI_Type_size");
    rank.room("the size", pointer)(rank.datatype(type).sizeBytes);
    return SUCCESS;
  },

  "env.MPI_Op_create": (tableIndex: number, _commutes: number, pointer: number): number => {
    const rank = ranks.at("MPI_Op_create");
    const store = rank.room("the new operation", pointer);
    const made = rank.operators.create(tableIndex >>> 0);
    if (made === null) {
      throw rank.fault(`there are ${OPERATORS_MAX} operations, more there may not be`);
    }
    store(made);
    return SUCCESS;
  },

  "env.MPI_Op_free": (pointer: number): number => {
    const rank = ranks.at("MPI_Op_free");
    const [operator = NULL] = rank.ints("the operation", pointer, 1);
    if (!rank.operators.free(operator)) {
      throw rank.fault(`operation ${operator} is none that was made`);
    }
    rank.room("the operation", pointer)(NULL);
    return SUCCESS;
  },
});
