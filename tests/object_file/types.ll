; What a compiler writes for a map as libbpf defines it, and the types of it all.
target triple = "bpfel"
%struct.map = type { [1 x i32]*, i32*, i64*, [16 x i32]* }
@counts = dso_local global %struct.map zeroinitializer, section ".maps", align 8, !dbg !0
@limit = dso_local global i32 7, align 4, !dbg !30
@_license = dso_local global [4 x i8] c"GPL\00", section "license", align 1

define dso_local i32 @look(i8* %context) section "kprobe/do_exit" !dbg !40 {
  %lookup = inttoptr i64 1 to i64 (i8*, i8*)*
  %map = bitcast %struct.map* @counts to i8*
  %found = call i64 %lookup(i8* %map, i8* %context), !dbg !46
  %limit = load i32, i32* @limit, !dbg !46
  ret i32 %limit, !dbg !47
}

!llvm.dbg.cu = !{!2}
!llvm.module.flags = !{!5, !6}
!0 = !DIGlobalVariableExpression(var: !1, expr: !DIExpression())
!1 = distinct !DIGlobalVariable(name: "counts", scope: !2, file: !3, line: 10, type: !7, isLocal: false, isDefinition: true)
!2 = distinct !DICompileUnit(language: DW_LANG_C99, file: !3, producer: "test", isOptimized: true, runtimeVersion: 0, emissionKind: FullDebug, globals: !4)
!3 = !DIFile(filename: "look.c", directory: ".")
!4 = !{!0, !30}
!5 = !{i32 7, !"Dwarf Version", i32 4}
!6 = !{i32 2, !"Debug Info Version", i32 3}
!7 = distinct !DICompositeType(tag: DW_TAG_structure_type, file: !3, line: 5, size: 256, elements: !8)
!8 = !{!9, !10, !11, !12}
!9 = !DIDerivedType(tag: DW_TAG_member, name: "type", scope: !7, file: !3, line: 6, baseType: !13, size: 64)
!10 = !DIDerivedType(tag: DW_TAG_member, name: "key", scope: !7, file: !3, line: 7, baseType: !16, size: 64, offset: 64)
!11 = !DIDerivedType(tag: DW_TAG_member, name: "value", scope: !7, file: !3, line: 8, baseType: !19, size: 64, offset: 128)
!12 = !DIDerivedType(tag: DW_TAG_member, name: "max_entries", scope: !7, file: !3, line: 9, baseType: !22, size: 64, offset: 192)
!13 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !14, size: 64)
!14 = !DICompositeType(tag: DW_TAG_array_type, baseType: !15, size: 32, elements: !25)
!15 = !DIBasicType(name: "int", size: 32, encoding: DW_ATE_signed)
!16 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !17, size: 64)
!17 = !DIDerivedType(tag: DW_TAG_typedef, name: "u32", file: !3, line: 1, baseType: !18)
!18 = !DIBasicType(name: "unsigned int", size: 32, encoding: DW_ATE_unsigned)
!19 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !20, size: 64)
!20 = !DIBasicType(name: "unsigned long long", size: 64, encoding: DW_ATE_unsigned)
!22 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !23, size: 64)
!23 = !DICompositeType(tag: DW_TAG_array_type, baseType: !15, size: 512, elements: !26)
!25 = !{!DISubrange(count: 1)}
!26 = !{!DISubrange(count: 16)}
!30 = !DIGlobalVariableExpression(var: !31, expr: !DIExpression())
!31 = distinct !DIGlobalVariable(name: "limit", scope: !2, file: !3, line: 11, type: !15, isLocal: false, isDefinition: true)
!40 = distinct !DISubprogram(name: "look", scope: !3, file: !3, line: 13, type: !41, scopeLine: 13, spFlags: DISPFlagDefinition, unit: !2, retainedNodes: !44)
!41 = !DISubroutineType(types: !42)
!42 = !{!15, !43}
!43 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: null, size: 64)
!44 = !{!45}
!45 = !DILocalVariable(name: "context", arg: 1, scope: !40, file: !3, line: 13, type: !43)
!46 = !DILocation(line: 14, column: 3, scope: !40)
!47 = !DILocation(line: 15, column: 3, scope: !40)
