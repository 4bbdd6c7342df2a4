; What a compiler writes for accesses that are adjusted to the kernel: a local task_struct that is laid out otherwise.
target datalayout = "e-m:e-p:64:64-i64:64-i128:128-n32:64-S128"
target triple = "bpfel"

%struct.task_struct = type { i32, %union.anon, [2 x %struct.hlist_node], i32 }
%union.anon = type { i64 }
%struct.hlist_node = type { i8*, i8* }

@_license = dso_local global [4 x i8] c"GPL\00", section "license", align 1

; The id of the process, by probe_read_kernel.
define dso_local i32 @tgid(i8* %context) section "raw_tp" !dbg !10 {
  %out = alloca i32, align 4
  store i32 0, i32* %out, align 4
  %get = inttoptr i64 35 to i64 ()*
  %task = call i64 %get(), !dbg !20
  %pointer = inttoptr i64 %task to %struct.task_struct*
  %field = call i32* @llvm.preserve.struct.access.index.p0i32.p0s_struct.task_structs(%struct.task_struct* elementtype(%struct.task_struct) %pointer, i32 3, i32 3), !dbg !20, !llvm.preserve.access.index !30
  %read = inttoptr i64 113 to i64 (i8*, i32, i8*)*
  %to = bitcast i32* %out to i8*
  %from = bitcast i32* %field to i8*
  %done = call i64 %read(i8* %to, i32 4, i8* %from), !dbg !20
  %value = load i32, i32* %out, align 4
  ret i32 %value, !dbg !21
}

; Offsets, sizes and existence of all kinds, in the struct that get_current_task_btf gives.
define dso_local i32 @others(i8* %context) section "raw_tp" !dbg !11 {
  %get = inttoptr i64 158 to %struct.task_struct* ()*
  %pointer = call %struct.task_struct* %get(), !dbg !22
  %union = call %union.anon* @llvm.preserve.struct.access.index.p0s_union.anons.p0s_struct.task_structs(%struct.task_struct* elementtype(%struct.task_struct) %pointer, i32 1, i32 1), !dbg !22, !llvm.preserve.access.index !30
  %wide = call %union.anon* @llvm.preserve.union.access.index.p0s_union.anons.p0s_union.anons(%union.anon* %union, i32 0), !dbg !22, !llvm.preserve.access.index !34
  %cast = bitcast %union.anon* %wide to i64*
  %value = load i64, i64* %cast, align 8, !dbg !22
  %array = call [2 x %struct.hlist_node]* @llvm.preserve.struct.access.index.p0a2s_struct.hlist_nodes.p0s_struct.task_structs(%struct.task_struct* elementtype(%struct.task_struct) %pointer, i32 2, i32 2), !dbg !22, !llvm.preserve.access.index !30
  %element = call %struct.hlist_node* @llvm.preserve.array.access.index.p0s_struct.hlist_nodes.p0a2s_struct.hlist_nodes([2 x %struct.hlist_node]* elementtype([2 x %struct.hlist_node]) %array, i32 1, i32 1), !dbg !22, !llvm.preserve.access.index !42
  %prev = call i8** @llvm.preserve.struct.access.index.p0p0i8.p0s_struct.hlist_nodes(%struct.hlist_node* elementtype(%struct.hlist_node) %element, i32 1, i32 1), !dbg !22, !llvm.preserve.access.index !43
  %exists = call i32 @llvm.bpf.preserve.field.info.p0p0i8(i8** %prev, i64 2), !dbg !22
  %field = call i32* @llvm.preserve.struct.access.index.p0i32.p0s_struct.task_structs(%struct.task_struct* elementtype(%struct.task_struct) %pointer, i32 3, i32 3), !dbg !22, !llvm.preserve.access.index !30
  %size = call i32 @llvm.bpf.preserve.field.info.p0i32(i32* %field, i64 1), !dbg !22
  %sign = call i32 @llvm.bpf.preserve.field.info.p0i32(i32* %field, i64 3), !dbg !22
  %there = call i32 @llvm.bpf.preserve.type.info(i32 0, i64 0), !dbg !22, !llvm.preserve.access.index !30
  %bytes = call i32 @llvm.bpf.preserve.type.info(i32 1, i64 1), !dbg !22, !llvm.preserve.access.index !43
  %enum = call i64 @llvm.bpf.preserve.enum.value(i32 2, i8* getelementptr ([15 x i8], [15 x i8]* @name, i32 0, i32 0), i64 1), !dbg !22, !llvm.preserve.access.index !60
  %known = call i64 @llvm.bpf.preserve.enum.value(i32 3, i8* getelementptr ([15 x i8], [15 x i8]* @name, i32 0, i32 0), i64 0), !dbg !22, !llvm.preserve.access.index !60
  %a = trunc i64 %value to i32
  %b = add i32 %a, %exists
  %c = add i32 %b, %size
  %d = add i32 %c, %sign
  %e = add i32 %d, %there
  %f = add i32 %e, %bytes
  %g = trunc i64 %enum to i32
  %h = add i32 %f, %g
  %i = trunc i64 %known to i32
  %j = add i32 %h, %i
  ret i32 %j, !dbg !22
}

@name = private unnamed_addr constant [15 x i8] c"PIDTYPE_TGID:1\00", align 1

declare i32* @llvm.preserve.struct.access.index.p0i32.p0s_struct.task_structs(%struct.task_struct*, i32 immarg, i32 immarg)
declare %union.anon* @llvm.preserve.struct.access.index.p0s_union.anons.p0s_struct.task_structs(%struct.task_struct*, i32 immarg, i32 immarg)
declare %union.anon* @llvm.preserve.union.access.index.p0s_union.anons.p0s_union.anons(%union.anon*, i32 immarg)
declare [2 x %struct.hlist_node]* @llvm.preserve.struct.access.index.p0a2s_struct.hlist_nodes.p0s_struct.task_structs(%struct.task_struct*, i32 immarg, i32 immarg)
declare %struct.hlist_node* @llvm.preserve.array.access.index.p0s_struct.hlist_nodes.p0a2s_struct.hlist_nodes([2 x %struct.hlist_node]*, i32 immarg, i32 immarg)
declare i8** @llvm.preserve.struct.access.index.p0p0i8.p0s_struct.hlist_nodes(%struct.hlist_node*, i32 immarg, i32 immarg)
declare i32 @llvm.bpf.preserve.field.info.p0i32(i32*, i64)
declare i32 @llvm.bpf.preserve.field.info.p0p0i8(i8**, i64)
declare i32 @llvm.bpf.preserve.type.info(i32, i64)
declare i64 @llvm.bpf.preserve.enum.value(i32, i8*, i64)

!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2, !3}
!0 = distinct !DICompileUnit(language: DW_LANG_C99, file: !1, producer: "test", isOptimized: true, runtimeVersion: 0, emissionKind: FullDebug)
!1 = !DIFile(filename: "core.c", directory: ".")
!2 = !{i32 7, !"Dwarf Version", i32 4}
!3 = !{i32 2, !"Debug Info Version", i32 3}
!4 = !DIBasicType(name: "int", size: 32, encoding: DW_ATE_signed)
!5 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: null, size: 64)
!6 = !DISubroutineType(types: !7)
!7 = !{!4, !5}
!8 = !DIBasicType(name: "long", size: 64, encoding: DW_ATE_signed)
!9 = !{}
!10 = distinct !DISubprogram(name: "tgid", scope: !1, file: !1, line: 3, type: !6, scopeLine: 3, spFlags: DISPFlagDefinition | DISPFlagOptimized, unit: !0, retainedNodes: !9)
!11 = distinct !DISubprogram(name: "others", scope: !1, file: !1, line: 9, type: !6, scopeLine: 9, spFlags: DISPFlagDefinition | DISPFlagOptimized, unit: !0, retainedNodes: !9)
!20 = !DILocation(line: 4, column: 3, scope: !10)
!21 = !DILocation(line: 5, column: 3, scope: !10)
!22 = !DILocation(line: 10, column: 3, scope: !11)
!30 = distinct !DICompositeType(tag: DW_TAG_structure_type, name: "task_struct", file: !1, line: 1, size: 448, elements: !31)
!31 = !{!32, !33, !40, !41}
!32 = !DIDerivedType(tag: DW_TAG_member, name: "pid", scope: !30, file: !1, line: 1, baseType: !4, size: 32)
!33 = !DIDerivedType(tag: DW_TAG_member, scope: !30, file: !1, line: 1, baseType: !34, size: 64, offset: 64)
!34 = distinct !DICompositeType(tag: DW_TAG_union_type, scope: !30, file: !1, line: 1, size: 64, elements: !35)
!35 = !{!36}
!36 = !DIDerivedType(tag: DW_TAG_member, name: "start_time", scope: !34, file: !1, line: 1, baseType: !8, size: 64)
!40 = !DIDerivedType(tag: DW_TAG_member, name: "pid_links", scope: !30, file: !1, line: 1, baseType: !42, size: 256, offset: 128)
!41 = !DIDerivedType(tag: DW_TAG_member, name: "tgid", scope: !30, file: !1, line: 1, baseType: !4, size: 32, offset: 384)
!42 = !DICompositeType(tag: DW_TAG_array_type, baseType: !43, size: 256, elements: !50)
!43 = distinct !DICompositeType(tag: DW_TAG_structure_type, name: "hlist_node", file: !1, line: 1, size: 128, elements: !44)
!44 = !{!45, !46}
!45 = !DIDerivedType(tag: DW_TAG_member, name: "next", scope: !43, file: !1, line: 1, baseType: !5, size: 64)
!46 = !DIDerivedType(tag: DW_TAG_member, name: "pprev", scope: !43, file: !1, line: 1, baseType: !5, size: 64, offset: 64)
!50 = !{!51}
!51 = !DISubrange(count: 2)
!60 = !DICompositeType(tag: DW_TAG_enumeration_type, name: "pid_type", file: !1, line: 1, baseType: !61, size: 32, elements: !62)
!61 = !DIBasicType(name: "unsigned int", size: 32, encoding: DW_ATE_unsigned)
!62 = !{!63, !64}
!63 = !DIEnumerator(name: "PIDTYPE_PID", value: 0, isUnsigned: true)
!64 = !DIEnumerator(name: "PIDTYPE_TGID", value: 1, isUnsigned: true)
